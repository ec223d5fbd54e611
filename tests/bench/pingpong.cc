// The applications at both ends of a tunnel that compare.py measures, on blocking sockets with TCP_NODELAY.
//
//   pingpong serve PORT             the target; ends with its standard input
//   pingpong ping PORT SECONDS      64-byte requests, one at a time
//   pingpong load PORT SECONDS      the same, one a millisecond, beside a bulk stream that takes all it can
//   pingpong connect PORT SECONDS   new connections, each for one byte and its answer, by 16 threads
//
// Results are one JSON object on standard output. The first byte of a connection tells the target what it is
// to be.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr char kEcho = 'e';  // sends back what comes
constexpr char kSink = 's';  // takes all, and says how much it has, as u64, now and then
constexpr char kHold = 'h';  // sends back this byte, then stays open until the other end closes
constexpr char kOnce =
    'o';  // sends back this byte and closes: the target bears the TIME-WAIT, as HTTP servers do
constexpr std::size_t kMessage = 64;
constexpr std::uint64_t kReportEvery = 256 * 1024;
constexpr auto kWarmUp = std::chrono::seconds(1);
constexpr auto kPace = std::chrono::milliseconds(1);
constexpr int kConnectors = 16;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void set_option(int fd, int level, int name) {
  const int on = 1;
  if (setsockopt(fd, level, name, &on, sizeof on) != 0) die("setsockopt");
}

bool send_all(int fd, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool receive_all(int fd, void* data, std::size_t size) {
  return size == 0 || recv(fd, data, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

// --- the target ---

void serve_echo(int fd) {
  std::array<char, 65536> bytes;
  for (;;) {
    const ssize_t size = recv(fd, bytes.data(), bytes.size(), 0);
    if (size <= 0 || !send_all(fd, bytes.data(), static_cast<std::size_t>(size))) break;
  }
  close(fd);
}

void serve_sink(int fd) {
  std::vector<char> bytes(256 * 1024);
  std::uint64_t total = 0, told = 0;
  for (;;) {
    const ssize_t size = recv(fd, bytes.data(), bytes.size(), 0);
    if (size <= 0) break;
    total += static_cast<std::uint64_t>(size);
    if (total - told < kReportEvery) continue;
    told = total;
    if (!send_all(fd, &total, sizeof total)) break;
  }
  close(fd);
}

// Takes connections, learns what they are to be, and keeps those that only stay; the others get a thread
// each.
class Target {
 public:
  explicit Target(std::uint16_t port)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    if (epoll_ < 0 || listener_ < 0) die("socket");
    set_option(listener_, SOL_SOCKET, SO_REUSEADDR);
    const sockaddr_in address = loopback(port);
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("bind");
    if (listen(listener_, 4096) != 0) die("listen");
    watch(listener_);
    watch(STDIN_FILENO);
  }

  void run() {
    std::array<epoll_event, 256> events;
    for (;;) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == STDIN_FILENO) return;
        fd == listener_ ? accept_one() : handle_input(fd);
      }
    }
  }

 private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
  }

  void accept_one() {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    watch(fd);
  }

  void handle_input(int fd) {
    char role = 0;
    if (recv(fd, &role, 1, 0) != 1) {
      close(fd);
    } else if (role == kHold) {
      send_all(fd, &role, 1);
    } else if (role == kOnce) {
      send_all(fd, &role, 1);
      close(fd);
    } else {
      epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
      std::thread(role == kEcho ? serve_echo : serve_sink, fd).detach();
    }
  }

  int epoll_;
  int listener_;
};

// --- the measuring end ---

int connect_as(std::uint16_t port, char role) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  const sockaddr_in address = loopback(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("connect");
  set_option(fd, IPPROTO_TCP, TCP_NODELAY);
  if (!send_all(fd, &role, 1)) die("send");
  return fd;
}

/// Round trips of `duration`, in seconds, sorted. No two begin within `interval`, so that the times when the
/// tunnel is quick don't count more than the others.
std::vector<double> ping(int fd, Clock::duration duration, Clock::duration interval = {}) {
  std::array<char, kMessage> message{};
  std::vector<double> times;
  const auto end = Clock::now() + duration;
  for (auto start = Clock::now(); start < end;) {
    if (!send_all(fd, message.data(), message.size()) || !receive_all(fd, message.data(), message.size()))
      die("ping");
    const auto stop = Clock::now();
    times.push_back(std::chrono::duration<double>(stop - start).count());
    if (stop - start < interval) std::this_thread::sleep_until(start + interval);
    start = interval.count() > 0 ? Clock::now() : stop;
  }
  std::sort(times.begin(), times.end());
  return times;
}

double percentile(const std::vector<double>& sorted, double part) {
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(part * static_cast<double>(sorted.size())))];
}

/// Sends for as long as it lives; knows what has arrived.
class BulkStream {
 public:
  explicit BulkStream(std::uint16_t port)
      : fd_(connect_as(port, kSink)), writer_([this] { write(); }), reader_([this] { read(); }) {}
  ~BulkStream() {
    shutdown(fd_, SHUT_RDWR);
    writer_.join();
    reader_.join();
    close(fd_);
  }
  std::uint64_t arrived() const { return arrived_; }

 private:
  void write() {
    const std::vector<char> bytes(128 * 1024, 'x');
    while (send_all(fd_, bytes.data(), bytes.size())) {
    }
  }
  void read() {
    std::uint64_t total = 0;
    while (receive_all(fd_, &total, sizeof total)) arrived_ = total;
  }

  int fd_;
  std::atomic<std::uint64_t> arrived_{0};
  std::thread writer_;
  std::thread reader_;
};

void print_times(const std::vector<double>& times) {
  std::printf("\"count\": %zu, \"p50\": %.9f, \"p90\": %.9f, \"p99\": %.9f, \"max\": %.9f", times.size(),
              percentile(times, 0.5), percentile(times, 0.9), percentile(times, 0.99), times.back());
}

void run_ping(std::uint16_t port, Clock::duration duration) {
  const int fd = connect_as(port, kEcho);
  ping(fd, kWarmUp / 4);
  std::printf("{");
  print_times(ping(fd, duration));
  std::printf("}\n");
}

void run_load(std::uint16_t port, Clock::duration duration) {
  const int fd = connect_as(port, kEcho);
  ping(fd, kWarmUp / 4);
  const BulkStream bulk(port);
  std::this_thread::sleep_for(kWarmUp);
  const std::uint64_t before = bulk.arrived();
  const auto start = Clock::now();
  const std::vector<double> times = ping(fd, duration, kPace);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const double rate = static_cast<double>(bulk.arrived() - before) * 8 / seconds;
  std::printf("{");
  print_times(times);
  std::printf(", \"bits_per_second\": %.0f}\n", rate);
}

void run_connect(std::uint16_t port, Clock::duration duration) {
  std::atomic<std::uint64_t> done{0}, failed{0};
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < kConnectors; ++i) {
    threads.emplace_back([&] {
      while (Clock::now() - start < duration) {
        const int fd = connect_as(port, kOnce);
        char answer[2];  // the second never comes: the end does
        ++(recv(fd, answer, 2, MSG_WAITALL) == 1 && answer[0] == kOnce ? done : failed);
        close(fd);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::printf("{\"per_second\": %.1f, \"failures\": %llu}\n", static_cast<double>(done) / seconds,
              static_cast<unsigned long long>(failed));
}

int usage() {
  std::fputs("usage: pingpong serve PORT | ping PORT SECONDS | load PORT SECONDS | connect PORT SECONDS\n",
             stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return usage();
  const std::string_view verb = argv[1];
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  if (verb == "serve") {
    Target(port).run();
    return 0;
  }
  if (argc < 4) return usage();
  const auto duration =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::atof(argv[3])));
  if (verb == "ping") {
    run_ping(port, duration);
  } else if (verb == "load") {
    run_load(port, duration);
  } else if (verb == "connect") {
    run_connect(port, duration);
  } else {
    return usage();
  }
  return 0;
}
