#include "daemon/probe/bench_command.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <vector>

#include "daemon/probe/probe_socket.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {
namespace {

constexpr Duration kStarting = seconds(10);  // for the tunnel's process to listen
// The longest wait for the next byte; exceeds the time after which an unanswered session ends.
constexpr Duration kStallTimeout = seconds(40);
constexpr int kPings = 50;
constexpr std::size_t kPingBytes = 64;
constexpr std::size_t kChunk = 64 * 1024;
constexpr std::size_t kPattern = 1 << 20;  // period of the data in bytes
// Bytes sent and not yet returned; bounds the backlog at the end.
constexpr std::uint64_t kMaxAhead = 16 << 20;

/// Owns the tunnel's process and terminates it on destruction.
class TunnelProcess {
 public:
  TunnelProcess(const Profile& profile, const std::function<int(Profile)>& run_tunnel) {
    const pid_t parent = getpid();
    Profile own = profile;
    name_ = fmt::format("@kcptun-bench-{}-{:08x}", parent, random_conv());
    own.local_address = UnixPath{name_};
    own.quiet = true;
    own.log.level = LogLevel::kWarning;
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(kExitFailure);
    _exit(run_tunnel(own));
  }
  ~TunnelProcess() {
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  TunnelProcess(const TunnelProcess&) = delete;
  TunnelProcess& operator=(const TunnelProcess&) = delete;

  /// Connects to the tunnel. Returns an invalid descriptor if its process does not listen in time.
  FileDescriptor connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name_.data() + 1, name_.size() - 1);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    const TimePoint end = read_probe_clock() + kStarting;
    while (pid_ > 0 && read_probe_clock() < end) {
      FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0) return fd;
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;  // it has logged the reason
      poll(nullptr, 0, 20);
    }
    return FileDescriptor();
  }

 private:
  std::string name_;
  pid_t pid_ = -1;
};

/// A pseudo-random pattern: any few consecutive bytes occur at one offset only, so lost or shifted data is
/// detected.
std::vector<std::uint8_t> make_pattern() {
  std::vector<std::uint8_t> pattern(kPattern + kChunk);
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < kPattern; ++i) {
    state = state * 1664525 + 1013904223;
    pattern[i] = static_cast<std::uint8_t>(state >> 24);
  }
  std::copy_n(pattern.begin(), kChunk, pattern.begin() + kPattern);
  return pattern;
}

/// Sends an endless repetition of the pattern and checks its echo.
class EchoStream {
 public:
  explicit EchoStream(FileDescriptor fd) : fd_(std::move(fd)), pattern_(make_pattern()) {}

  std::uint64_t sent() const { return sent_; }
  std::uint64_t returned() const { return returned_; }
  /// The reason for failure.
  const std::string& error() const { return error_; }

  /// Sends up to byte `total` of the stream and reads what has returned. Waits until `until` for either.
  void exchange(std::uint64_t total, TimePoint until) {
    const bool wants = sent_ < total && sent_ - returned_ < kMaxAhead;
    pollfd entry{
        .fd = fd_.get(), .events = static_cast<short>(wants ? POLLIN | POLLOUT : POLLIN), .revents = 0};
    const auto left = std::chrono::ceil<milliseconds>(until - read_probe_clock()).count();
    if (poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0) return;
    if ((entry.revents & POLLOUT) != 0) send_some(total);
    if ((entry.revents & (POLLIN | POLLHUP | POLLERR)) != 0) receive_some();
  }

 private:
  void send_some(std::uint64_t total) {
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, total - sent_));
    const ssize_t written = ::send(fd_.get(), pattern_.data() + sent_ % kPattern, size, MSG_NOSIGNAL);
    if (written > 0) sent_ += static_cast<std::uint64_t>(written);
  }
  void receive_some() {
    std::array<std::uint8_t, kChunk> bytes;
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
      error_ = "the connection was closed: does the server's target run, and echo?";
      return;
    }
    const auto size = static_cast<std::size_t>(got);
    const bool same = std::equal(bytes.begin(), bytes.begin() + got, pattern_.data() + returned_ % kPattern);
    if (!same || returned_ + size > sent_)
      error_ = "what came back is not what was sent: the server's target must echo";
    returned_ += size;
  }

  FileDescriptor fd_;
  std::vector<std::uint8_t> pattern_;
  std::uint64_t sent_ = 0;
  std::uint64_t returned_ = 0;
  std::string error_;
};

int report_bench_failure(const std::string& error) {
  std::fprintf(stderr, "kcptun-client: bench: %s\n", error.c_str());
  return kExitFailure;
}

/// Exchanges until `total` bytes have returned. The error names the fault.
std::string complete(EchoStream& stream, std::uint64_t total) {
  std::uint64_t before = stream.returned();
  TimePoint deadline = read_probe_clock() + kStallTimeout;
  while (stream.returned() < total && stream.error().empty()) {
    stream.exchange(total, deadline);
    if (stream.returned() != before) deadline = read_probe_clock() + kStallTimeout;
    before = stream.returned();
    if (read_probe_clock() >= deadline)
      return "nothing comes back: try kcptun-client probe, which tells more";
  }
  return stream.error();
}

std::string measure_latency(EchoStream& stream, std::vector<Duration>& trips) {
  for (int ping = 0; ping < kPings; ++ping) {
    const TimePoint sent = read_probe_clock();
    if (auto error = complete(stream, stream.sent() + kPingBytes); !error.empty()) return error;
    if (ping > 0) trips.push_back(read_probe_clock() - sent);  // the first ping opened the session
  }
  std::ranges::sort(trips);
  return {};
}

double ms(Duration duration) { return static_cast<double>(duration.count()) / 1000; }

}  // namespace

int run_bench(const RunSubcommand& run, const std::function<int(Profile)>& run_tunnel) {
  std::fflush(nullptr);
  TunnelProcess tunnel(run.profile, run_tunnel);
  FileDescriptor connection = tunnel.connect();
  if (!connection.valid()) return report_bench_failure("the tunnel does not start");
  EchoStream stream(std::move(connection));
  std::vector<Duration> trips;
  if (const auto error = measure_latency(stream, trips); !error.empty()) return report_bench_failure(error);
  std::printf(
      "round trip   min %.1f ms, median %.1f ms, max %.1f ms (%zu times %zu bytes, through the tunnel)\n",
      ms(trips.front()), ms(trips[trips.size() / 2]), ms(trips.back()), trips.size(), kPingBytes);
  std::fflush(stdout);

  const std::uint64_t before = stream.returned();
  const TimePoint begin = read_probe_clock();
  const TimePoint end = begin + seconds(run.settings.number(OptionId::kDuration));
  while (read_probe_clock() < end && stream.error().empty()) stream.exchange(UINT64_MAX, end);
  if (auto error = complete(stream, stream.sent()); !error.empty()) return report_bench_failure(error);
  const double took = static_cast<double>((read_probe_clock() - begin).count()) / 1e6;
  const auto moved = static_cast<double>(stream.returned() - before);
  std::printf(
      "goodput      %.1f Mbit/s to the server and as much back, at once (%.1f MB each way in %.1f s, every "
      "byte "
      "compared)\n",
      moved * 8 / took / 1e6, moved / 1e6, took);
  return std::fflush(stdout) == 0 ? 0 : kExitFailure;
}

}  // namespace kcptun
