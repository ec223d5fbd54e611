// Shared by the tests of daemon: engines driven until a condition holds, applications on real loopback
// sockets, a hand-written peer for the other end of a tunnel, and the log.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "config/profile.h"
#include "core/base/random.h"
#include "core/kcp/segment.h"
#include "core/link/link.h"
#include "core/smux/frame.h"
#include "daemon/engine/engine.h"
#include "daemon/io/listener.h"
#include "daemon/net/address.h"
#include "daemon/net/udp_socket.h"
#include "daemon/system/file_descriptor.h"
#include "daemon/worker/tunnel_keys.h"

namespace kcptun::test {

using SteadyClock = std::chrono::steady_clock;
inline constexpr auto kAnswerTimeout = std::chrono::seconds(15);

inline TimePoint clock_now() {
  return TimePoint(std::chrono::duration_cast<Duration>(SteadyClock::now().time_since_epoch()));
}

inline IpEndpoint loopback(std::uint16_t port = 0) { return parse_ip("127.0.0.1", port).value(); }

inline std::string random_bytes(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next32());
  return bytes;
}

inline std::size_t count_of(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + word.size()))
    ++count;
  return count;
}

/// Captures the log at any level during its lifetime.
class LogCapture {
 public:
  LogCapture() : last_totals_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    auto logger = std::make_shared<spdlog::logger>("test", std::move(sink));
    logger->set_pattern("%l %v");
    spdlog::set_default_logger(std::move(logger));
  }
  ~LogCapture() { spdlog::set_default_logger(last_totals_); }
  std::string text() const { return text_.str(); }
  std::size_t count(const std::string& word) const { return count_of(text(), word); }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> last_totals_;
};

/// Runs the loop until the condition holds, or a time limit ends.
template <typename Condition>
bool run_uv_until(uv_loop_t& loop, Condition condition) {
  const auto end = SteadyClock::now() + kAnswerTimeout;
  while (!condition()) {
    if (SteadyClock::now() > end) return false;
    uv_run(&loop, UV_RUN_NOWAIT);
    pollfd entry{uv_backend_fd(&loop), POLLIN, 0};
    poll(&entry, 1, 1);
  }
  return true;
}

/// A plain libuv loop. The destructor aborts if any handle was not closed and freed.
struct PlainLoop {
  template <typename Condition>
  bool until(Condition condition) {
    return run_uv_until(uv, condition);
  }
  std::unique_ptr<kcptun::UvLoop> owned = std::move(kcptun::UvLoop::open().value());
  uv_loop_t& uv = owned->get();
};

inline std::uint16_t port_of(int fd) {
  sockaddr_storage name;
  socklen_t size = sizeof name;
  getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  return from_sockaddr(reinterpret_cast<const sockaddr*>(&name), size)->port;
}

inline FileDescriptor must_listen(const IpEndpoint& address = loopback()) {
  Result<FileDescriptor> listening = listen_tcp(address, false);
  if (!listening) FAIL(listening.error());
  return std::move(*listening);
}

/// A port without a listener (it was free a moment ago).
inline std::uint16_t closed_port() { return port_of(must_listen().get()); }

/// An address that neither accepts nor rejects connections: its accept queue is full.
class UnresponsiveAddress {
 public:
  UnresponsiveAddress() : listening_(must_listen()) {
    ::listen(listening_.get(), 0);
    for (FileDescriptor& filler : fillers_) filler = begin_connect(address());
  }
  IpEndpoint address() const { return loopback(port_of(listening_.get())); }

 private:
  FileDescriptor listening_;
  std::array<FileDescriptor, 3> fillers_;
};

/// An application at one end of a tunnel: a non-blocking socket, the bytes to send, and the bytes received.
class App {
 public:
  explicit App(FileDescriptor fd) : fd_(std::move(fd)) {}
  static App connect_to(std::uint16_t port) { return App(begin_connect(loopback(port))); }

  int fd() const { return fd_.get(); }
  void send(std::string bytes) { to_send_ += bytes; }
  /// Sends and receives as much as possible.
  void step() {
    if (!fd_.valid()) return;
    while (!to_send_.empty()) {
      const ssize_t n = ::send(fd(), to_send_.data(), to_send_.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
      to_send_.erase(0, static_cast<std::size_t>(n));
    }
    if (to_send_.empty() && std::exchange(ends_, false)) ::shutdown(fd(), SHUT_WR);
    char buffer[16384];
    while (reads && !ended) {
      const ssize_t n = ::recv(fd(), buffer, sizeof buffer, 0);
      if (n > 0) {
        received.append(buffer, static_cast<std::size_t>(n));
      } else if (n == 0) {
        ended = true;
      } else if (errno == EAGAIN || errno == ENOTCONN) {
        return;
      } else {
        ended = true;
        error = errno;
      }
    }
  }
  /// Half-closes after the remaining bytes are sent.
  void end_sending() { ends_ = true; }
  void reset() {
    const linger hard{1, 0};
    setsockopt(fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }
  void close() { fd_ = FileDescriptor(); }
  bool was_reset() const { return ended && error == ECONNRESET; }
  bool unsent() const { return !to_send_.empty(); }

  std::string received;
  std::size_t sent = 0;
  bool reads = true;
  bool ended = false;
  int error = 0;

 private:
  FileDescriptor fd_;
  std::string to_send_;
  bool ends_ = false;
};

struct TcpPair {
  FileDescriptor near, far;
};
inline TcpPair tcp_pair() {
  const FileDescriptor listening = must_listen();
  FileDescriptor near = begin_connect(loopback(port_of(listening.get())));
  pollfd entry{listening.get(), POLLIN, 0};
  REQUIRE(poll(&entry, 1, 10'000) == 1);
  return {std::move(near),
          FileDescriptor(accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC))};
}

/// A target or other listening application. Accepts every connection.
class AppServer {
 public:
  AppServer() : AppServer(loopback()) {}
  explicit AppServer(const IpEndpoint& address)
      : listening_(must_listen(address)), port_(port_of(listening_.get())) {}
  std::uint16_t port() const { return port_; }
  void step() {
    for (;;) {
      FileDescriptor fd(accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd.valid()) break;
      apps.push_back(std::make_unique<App>(std::move(fd)));
      apps.back()->reads = reads;
    }
    for (auto& app : apps) app->step();
  }
  std::vector<std::unique_ptr<App>> apps;
  bool reads = true;

 private:
  FileDescriptor listening_;
  std::uint16_t port_;
};

// --- settings ---

/// No cipher, FEC or compression: packets are plain KCP, for hand-written peers.
inline Profile plain_profile(Role role) {
  Profile profile;
  profile.role = role;
  profile.crypt = Cipher::kNull;
  profile.key = "key";
  profile.link.fec = {0, 0};
  profile.link.compress = false;
  profile.sockbuf = 0;
  profile.threads = 1;
  return profile;
}

struct Prepared {
  Prepared() {
    signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0) std::abort();
  }
};

/// An engine that has its libuv loop to itself.
struct CloseEngine {
  std::unique_ptr<UvLoop> uv;
  void operator()(Engine* engine) {
    delete engine;
    uv.reset();
  }
};
using OwnedEngine = std::unique_ptr<Engine, CloseEngine>;

inline OwnedEngine make_engine(const Profile& profile) {
  static const Prepared prepared;
  LinkSettings settings = profile.link;
  settings.rate_limit = profile.ratelimit;
  Result<std::unique_ptr<UvLoop>> uv = UvLoop::open();
  if (!uv) FAIL(uv.error());
  auto* engine = new Engine((*uv)->get(), settings, TunnelKeys::derive(profile)->make_suite(), nullptr);
  return {engine, CloseEngine{std::move(*uv)}};
}

inline UdpSocket must_bind(const IpEndpoint& address = loopback(), const UdpOptions& options = {}) {
  Result<UdpSocket> socket = UdpSocket::bind(address, options);
  if (!socket) FAIL(socket.error());
  return std::move(*socket);
}

inline UdpSocket must_connect(const IpEndpoint& address, const UdpOptions& options = {}) {
  Result<UdpSocket> socket = UdpSocket::connect(address, options);
  if (!socket) FAIL(socket.error());
  return std::move(*socket);
}

// --- the other end, hand-written ---

/// Links in memory over a real socket, without cipher. A client has one session, a server one for each port
/// that it receives from.
class Peer {
 public:
  struct Stream {
    std::string received;
    std::size_t unread = 0;
    std::string to_send;
    bool ends = false;
    bool finished = false;  // by the other end
    bool broken = false;
  };
  struct SessionEntry {
    SessionEntry(Role role, std::uint32_t conv, LinkContext& context, const Path& to)
        : link(role, conv, context, clock_now()), path(to) {}
    Link link;
    Path path;
    std::map<std::uint32_t, Stream> streams;
  };

  Peer(Role role, const LinkSettings& settings, UdpSocket socket, std::uint32_t conv = 0x11223344)
      : role_(role), context_(settings), socket_(std::move(socket)) {
    if (role == Role::kClient) open(conv, {socket_.remote(), socket_.local(), 0});
  }

  ~Peer() { conversations.clear(); }  // before the context that they use
  std::uint16_t port() const { return socket_.local().port; }
  SessionEntry& only() {
    REQUIRE(conversations.size() == 1);
    return *conversations.begin()->second;
  }
  /// Client only. Returns the sid of a new stream.
  std::uint32_t open_stream(StreamKind kind = StreamKind::kPlain) {
    const std::uint32_t sid = only().link.open_stream(kind).value();
    only().streams[sid];
    return sid;
  }
  Stream& stream(std::uint32_t sid) { return only().streams[sid]; }

  void step() {
    receive();
    for (auto& [key, conversation] : conversations) step(*conversation);
  }

  std::map<std::uint16_t, std::unique_ptr<SessionEntry>> conversations;  // by the other end's port
  bool reads = true;                                                     // false: nothing is consumed

 private:
  SessionEntry& open(std::uint32_t conv, const Path& path) {
    auto& slot = conversations[path.remote.port];
    slot = std::make_unique<SessionEntry>(role_, conv, context_, path);
    return *slot;
  }
  void receive() {
    for (bool dry = false; !dry;) {
      const UdpSocket::Received received = socket_.receive(arena_);
      dry = received.dry;
      for (const ReceivedRun& run : received.runs) {
        std::vector<Packet> packets;
        for (std::size_t i = 0; i < run.count(); ++i) packets.push_back(run.packet(i));
        const auto known = conversations.find(run.path.remote.port);
        SessionEntry& conversation =
            known == conversations.end() ? open(load_u32(packets[0].data), run.path) : *known->second;
        conversation.link.handle_packets(clock_now(), packets);
        drain(conversation);
      }
    }
  }
  void drain(SessionEntry& conversation) {
    Link& link = conversation.link;
    do {
      while (const auto event = link.poll_event(clock_now())) {
        Stream& stream = conversation.streams[event->sid];
        if (event->type == StreamEvent::Type::kFinished) stream.finished = true;
        if (event->type == StreamEvent::Type::kReset) stream.broken = true;
        if (event->type != StreamEvent::Type::kData) continue;
        stream.received.append(reinterpret_cast<const char*>(event->data.data()), event->data.size());
        stream.unread += event->data.size();
      }
      for (auto& [sid, stream] : conversation.streams)
        if (reads && stream.unread > 0) link.consume(sid, std::exchange(stream.unread, 0));
    } while (link.event_ready());
    link.release_views();
  }
  void write(Link& link, std::uint32_t sid, Stream& stream) {
    while (!stream.to_send.empty()) {
      const auto room = link.prepare_write(sid, stream.to_send.size());
      if (room.empty()) return;
      std::size_t done = 0;
      for (const MutableBytes& piece : room) {
        std::memcpy(piece.data(), stream.to_send.data() + done, piece.size());
        done += piece.size();
      }
      link.commit_write(sid, done);
      stream.to_send.erase(0, done);
    }
    if (std::exchange(stream.ends, false)) link.finish(sid);
  }
  void step(SessionEntry& conversation) {
    Link& link = conversation.link;
    if (const auto due = link.next_timeout(); due && *due <= clock_now()) link.handle_timeout(clock_now());
    drain(conversation);
    for (auto& [sid, stream] : conversation.streams)
      if (!stream.broken) write(link, sid, stream);
    for (bool more = true; more;) {
      more = link.poll_transmit(clock_now(), conversation.path, batch_);
      for (std::size_t at = 0; at < batch_.size();) {
        const UdpSocket::SendResult result = socket_.send(batch_, at);
        at += result.consumed;
      }
      batch_.clear();
    }
  }

  const Role role_;
  LinkContext context_;
  UdpSocket socket_;
  ReceiveArena arena_;
  TransmitBatch batch_;
};

/// A datagram with one PUSH segment of these stream bytes, as a peer without cipher, FEC and compression
/// sends it.
inline std::string push_datagram(std::uint32_t conv, std::uint32_t sn, const std::string& bytes) {
  Segment segment;
  segment.conv = conv;
  segment.sn = sn;
  segment.window = 128;
  std::string datagram(kSegmentHeader, '\0');
  write_segment_header(reinterpret_cast<std::uint8_t*>(datagram.data()), segment, bytes.size());
  return datagram + bytes;
}
inline std::string smux_frame(std::uint8_t version, SmuxCommand command, std::uint32_t sid,
                              const std::string& payload = {}) {
  std::string frame(kFrameHeader, '\0');
  write_frame_header(
      reinterpret_cast<std::uint8_t*>(frame.data()),
      {version, static_cast<std::uint8_t>(command), static_cast<std::uint16_t>(payload.size()), sid});
  return frame + payload;
}

/// A plain UDP socket that sends datagrams of push_datagram() and records what it receives.
class RawPeer {
 public:
  struct Datagram {
    std::uint16_t from;
    std::string bytes;
    std::uint32_t conv() const { return load_u32(reinterpret_cast<const std::uint8_t*>(bytes.data())); }
  };
  RawPeer() : RawPeer(loopback()) {}
  explicit RawPeer(const IpEndpoint& address)
      : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const SocketAddress name = to_sockaddr(address);
    REQUIRE(::bind(fd_.get(), name.get(), name.size) == 0);
  }
  std::uint16_t port() const { return port_of(fd_.get()); }
  void send(std::uint16_t to, const std::string& bytes) {
    const SocketAddress name = to_sockaddr(loopback(to));
    ::sendto(fd_.get(), bytes.data(), bytes.size(), 0, name.get(), name.size);
  }
  void step() {
    char buffer[2048];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    for (ssize_t n;
         (n = ::recvfrom(fd_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size)) > 0;
         size = sizeof from)
      heard.push_back({ntohs(from.sin_port), std::string(buffer, static_cast<std::size_t>(n))});
  }
  /// The source ports of received datagrams, each once, in order of arrival.
  std::vector<std::uint16_t> sources() const {
    std::vector<std::uint16_t> ports;
    for (const Datagram& datagram : heard)
      if (std::find(ports.begin(), ports.end(), datagram.from) == ports.end()) ports.push_back(datagram.from);
    return ports;
  }
  std::vector<Datagram> heard;

 private:
  FileDescriptor fd_;
};

// --- driving everything on one thread ---

class World {
 public:
  using Step = std::function<void()>;
  void add(Engine& loop) {
    loop.flush();  // work from before the start, as in Engine::run()
    loops_.push_back(&loop);
  }
  template <typename T>
  void add(T& actor) {
    add_step([&actor] { actor.step(); });
  }
  void add_step(Step step) { steps_.push_back(std::move(step)); }

  template <typename Condition>
  bool until(Condition condition, std::chrono::milliseconds timeout = kAnswerTimeout) {
    const auto end = SteadyClock::now() + timeout;
    while (!condition()) {
      if (SteadyClock::now() > end) return false;
      step();
    }
    return true;
  }
  /// Runs everything for this long, to check that something does not happen.
  void run_for(std::chrono::milliseconds time) {
    until([] { return false; }, time);
  }
  void step() {
    for (const Step& act : steps_) act();
    std::vector<pollfd> entries;
    for (Engine* loop : loops_) {
      uv_run(&loop->uv(), UV_RUN_NOWAIT);
      entries.push_back({uv_backend_fd(&loop->uv()), POLLIN, 0});
    }
    poll(entries.data(), entries.size(), 1);
  }

 private:
  std::vector<Engine*> loops_;
  std::vector<Step> steps_;
};

/// Counts a loop's iterations while nothing else drives it: detects a busy loop.
inline std::size_t iterations_of(Engine& loop, std::chrono::milliseconds time) {
  bool over = false;
  std::size_t count = 0;
  TimerHandle alarm(loop.uv(), [&over] { over = true; });
  CheckHandle counter(loop.uv(), [&count] { ++count; });
  alarm.start(static_cast<std::uint64_t>(time.count()));
  while (!over) uv_run(&loop.uv(), UV_RUN_ONCE);
  return count;
}

/// Lowers the limit on descriptors during its lifetime.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t limit) {
    getrlimit(RLIMIT_NOFILE, &last_totals_);
    rlimit low = last_totals_;
    low.rlim_cur = limit;
    setrlimit(RLIMIT_NOFILE, &low);
  }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &last_totals_); }

 private:
  rlimit last_totals_;
};

}  // namespace kcptun::test
