// The engine's sockets and its batch. Replaced system calls simulate kernel errors.
#include "daemon/engine/engine.h"

#include <deque>

#include "daemon/engine/alarm.h"
#include "daemon/engine/session.h"
#include "tests/daemon/daemon_harness.h"

namespace kcptun::engine_test {
namespace {

using test::App;
using test::loopback;
using test::Peer;
using test::World;

struct Receiver final : PacketReceiver {
  void handle_run(TimePoint, const Path& path, std::span<const Packet> packets) override {
    for (const Packet& packet : packets)
      bodies.emplace_back(reinterpret_cast<const char*>(packet.data), packet.size);
    sockets.push_back(path.socket);
    if (then) then();
  }
  std::vector<std::string> bodies;
  std::vector<std::uint32_t> sockets;
  std::function<void()> then;
};

std::uint32_t add_bound(Engine& loop, PacketReceiver& receiver) {
  UdpOptions options;
  options.index = loop.next_socket_index();
  loop.add_socket(test::must_bind(loopback(), options), receiver);
  return options.index;
}

std::uint16_t port_of(const Engine& loop, std::uint32_t index) { return loop.socket(index)->local().port; }

/// The results of sendmmsg: an errno for a number of calls or for a time, then the kernel's own results.
struct SendErrors {
  static inline int error = 0;
  static inline int left = 0;
  static inline std::size_t returned = 0;
  static inline test::SteadyClock::time_point until{};

  static void arm(int with, int calls) {
    error = with;
    left = calls;
    returned = 0;
    until = {};
  }
  static void arm(int with, std::chrono::milliseconds time) {
    arm(with, 0);
    until = test::SteadyClock::now() + time;
  }
  static int send(int fd, mmsghdr* messages, unsigned count, int flags) {
    if (left > 0 || test::SteadyClock::now() < until) {
      --left;
      ++returned;
      errno = error;
      return -1;
    }
    return ::sendmmsg(fd, messages, count, flags);
  }
};

/// A client's end of one session. The test controls the sends of its socket, and the peer is in memory.
struct Rig final : PacketReceiver, Session::Owner {
  explicit Rig(std::uint16_t port = 0)
      : profile(test::plain_profile(Role::kClient)),
        peer(Role::kServer, profile.link, test::must_bind(loopback(port))),
        owned(test::make_engine(profile)),
        loop(*owned),
        link(Role::kClient, 77, loop.context(), loop.now()) {
    UdpOptions options;
    options.index = loop.next_socket_index();
    options.syscalls.send = &SendErrors::send;
    UdpSocket socket = test::must_connect(loopback(peer.port()), options);
    const Path path{socket.remote(), socket.local(), options.index};
    index = options.index;
    session = std::make_unique<Session>(loop, link, *this, path, profile);
    loop.add_socket(std::move(socket), *this);
    world.add(loop);
    world.add(peer);
  }
  ~Rig() override {
    session.reset();
    SendErrors::arm(0, 0);
  }
  void handle_run(TimePoint now, const Path&, std::span<const Packet> packets) override {
    link.handle_packets(now, packets);
    loop.wake(*session);
  }
  void handle_stream(Session&, std::uint32_t) override {}
  void handle_closed(Session&, std::string_view) override {}

  std::unique_ptr<App> connect() {
    test::TcpPair pair = test::tcp_pair();
    const std::uint32_t sid = link.open_stream().value();
    session->attach(std::make_unique<Connection>(*session, sid, std::move(pair.near)));
    return std::make_unique<App>(std::move(pair.far));
  }
  const std::string& received() { return peer.only().streams[3].received; }

  test::LogCapture log;
  Profile profile;
  Peer peer;
  test::OwnedEngine owned;
  Engine& loop;
  Link link;
  std::unique_ptr<Session> session;
  std::uint32_t index = 0;
  World world;
};

}  // namespace

TEST_CASE("an alarm rings at the earliest time asked for, once, and never after its end") {
  const auto loop = test::make_engine(test::plain_profile(Role::kClient));
  const TimePoint start = loop->now();
  std::vector<TimePoint> rung;
  std::optional<Alarm> alarm;
  alarm.emplace(*loop, [&](TimePoint now) {
    rung.push_back(now);
    if (rung.size() == 1) alarm->schedule_at(now + seconds(2));
  });
  alarm->schedule_at(start + seconds(3));
  alarm->schedule_at(start + seconds(1));
  alarm->schedule_at(start + seconds(5));  // it has been called by then
  for (int i = 1; i <= 9; ++i) loop->deadlines().run(start + seconds(i));
  CHECK(rung == std::vector{start + seconds(1), start + seconds(3)});
  alarm->schedule_at(start + seconds(10));
  alarm.reset();
  loop->deadlines().run(start + seconds(11));
  CHECK(rung.size() == 2);
}

TEST_CASE("an idle loop waits, and stop() from its mailbox ends run()") {
  const auto loop = test::make_engine(test::plain_profile(Role::kServer));
  CHECK(test::iterations_of(*loop, std::chrono::milliseconds(50)) < 10);
  loop->mailbox().post([&loop] { loop->stop(); });
  loop->run();
}

TEST_CASE("packets reach the receiver of the socket that they came to") {
  const auto loop = test::make_engine(test::plain_profile(Role::kServer));
  Receiver one, two;
  const std::uint32_t first = add_bound(*loop, one);
  const std::uint32_t second = add_bound(*loop, two);
  World world;
  world.add(*loop);
  test::RawPeer raw;
  raw.send(port_of(*loop, first), "to the first");
  raw.send(port_of(*loop, second), "to the second");
  CHECK(world.until([&] { return !one.bodies.empty() && !two.bodies.empty(); }));
  CHECK(one.bodies == std::vector<std::string>{"to the first"});
  CHECK(two.bodies == std::vector<std::string>{"to the second"});
  CHECK(one.sockets == std::vector<std::uint32_t>{first});
  CHECK(two.sockets == std::vector<std::uint32_t>{second});
}

TEST_CASE("a datagram larger than any peer's is rejected and counted") {
  const auto loop = test::make_engine(test::plain_profile(Role::kServer));
  Receiver receiver;
  const std::uint32_t index = add_bound(*loop, receiver);
  World world;
  world.add(*loop);
  test::RawPeer raw;
  raw.send(port_of(*loop, index), std::string(kMaxDatagram + 1, 'x'));
  raw.send(port_of(*loop, index), std::string(kMaxDatagram, 'y'));
  CHECK(world.until([&] { return !receiver.bodies.empty(); }));
  CHECK(receiver.bodies == std::vector<std::string>{std::string(kMaxDatagram, 'y')});
  CHECK(loop->counters().rejected_packets == 1);
}

TEST_CASE("the index of a removed socket is used again, and its counters stay in the sum") {
  const auto loop = test::make_engine(test::plain_profile(Role::kServer));
  Receiver receiver;
  World world;
  world.add(*loop);
  for (std::uint32_t i = 0; i < 3; ++i) CHECK(add_bound(*loop, receiver) == i);
  test::RawPeer raw;
  raw.send(port_of(*loop, 1), "hello");
  REQUIRE(world.until([&] { return receiver.bodies.size() == 1; }));
  loop->remove_socket(1);
  CHECK(loop->socket(1) == nullptr);
  CHECK(loop->udp_counters().datagrams_received == 1);
  CHECK(loop->next_socket_index() == 1);
  Receiver second;
  CHECK(add_bound(*loop, second) == 1);
  CHECK(loop->next_socket_index() == 3);
  world.step();
  raw.send(port_of(*loop, 1), "again");
  CHECK(world.until([&] { return second.bodies.size() == 1; }));
  CHECK(receiver.bodies.size() == 1);
  CHECK(loop->udp_counters().datagrams_received == 2);
}

TEST_CASE("a receiver may remove its own socket, and other sockets, while it is being called") {
  const auto loop = test::make_engine(test::plain_profile(Role::kServer));
  Receiver one, two;
  const std::uint32_t first = add_bound(*loop, one);
  const std::uint32_t second = add_bound(*loop, two);
  const auto remove_both = [&] {
    if (!loop->socket(first)) return;
    loop->remove_socket(first);
    loop->remove_socket(second);
  };
  one.then = two.then = remove_both;
  World world;
  test::RawPeer raw;
  raw.send(port_of(*loop, first), "a");
  raw.send(port_of(*loop, second), "b");
  world.add(*loop);
  CHECK(world.until([&] { return !loop->socket(first); }));
  world.run_for(std::chrono::milliseconds(5));
  CHECK(one.bodies.size() + two.bodies.size() == 1);
}

TEST_CASE("what dispose() is given lives until the wake-up is over, and no longer") {
  const auto loop = test::make_engine(test::plain_profile(Role::kServer));
  struct Noted {
    explicit Noted(std::string& to) : log(to) {}
    ~Noted() { log += "gone"; }
    std::string& log;
  };
  std::string log;
  loop->dispose(std::make_unique<Noted>(log));
  loop->dispose(std::unique_ptr<Noted>());
  CHECK(log.empty());
  loop->flush();
  CHECK(log == "gone");
}

TEST_CASE("a batch that a full socket refuses waits for it, and nothing is lost") {
  Rig rig;
  SendErrors::arm(EAGAIN, 5);
  const auto app = rig.connect();
  rig.world.add(*app);
  const std::string bytes = test::random_bytes(300'000, 1);
  app->send(bytes);
  CHECK(rig.world.until(
      [&] { return !rig.peer.conversations.empty() && rig.received().size() == bytes.size(); }));
  CHECK(rig.received() == bytes);
  CHECK(SendErrors::returned == 5);
  CHECK(rig.link.kcp().counters().retransmitted <= 5);
  CHECK(rig.loop.udp_counters().datagrams_dropped == 0);
  CHECK_FALSE(rig.loop.blocked());
}

TEST_CASE("repeated send errors of any kind lose nothing") {
  const int error = GENERATE(EAGAIN, ENOBUFS);
  INFO(strerror(error));
  Rig rig;
  const auto app = rig.connect();
  rig.world.add(*app);
  const std::string bytes = test::random_bytes(400'000, 2);
  app->send(bytes);
  int rounds = 0;
  CHECK(rig.world.until([&] {
    if (SendErrors::left <= 0 && rounds < 50) {
      SendErrors::arm(error, 1);
      ++rounds;
    }
    return !rig.peer.conversations.empty() && rig.received().size() == bytes.size();
  }));
  CHECK(rig.received() == bytes);
  CHECK(rounds > 5);
}

TEST_CASE("while a batch is blocked, what arrives is still passed on") {
  Rig rig;
  const auto app = rig.connect();
  rig.world.add(*app);
  app->send("hello");
  REQUIRE(rig.world.until([&] { return !rig.peer.conversations.empty() && rig.received() == "hello"; }));
  SendErrors::arm(ENOBUFS, 1 << 30);
  app->send("blocked");
  REQUIRE(rig.world.until([&] { return rig.loop.blocked(); }));
  rig.peer.only().streams[3].to_send = "answer";
  CHECK(rig.world.until([&] { return app->received == "answer"; }));
  CHECK(rig.loop.blocked());
  SendErrors::arm(0, 0);
  CHECK(rig.world.until([&] { return rig.received() == "helloblocked"; }));
}

TEST_CASE("ENOBUFS is tried again by a short timer, not by spinning") {
  Rig rig;
  const auto app = rig.connect();
  rig.world.add(*app);
  app->send("hello");
  REQUIRE(rig.world.until([&] { return !rig.peer.conversations.empty() && rig.received() == "hello"; }));
  SendErrors::arm(ENOBUFS, std::chrono::milliseconds(100));
  app->send("blocked");
  app->step();
  const std::size_t iterations = test::iterations_of(rig.loop, std::chrono::milliseconds(90));
  INFO(SendErrors::returned << " failed sends and " << iterations << " iterations of the loop in 90 ms");
  CHECK(SendErrors::returned < 300);  // kRetrySendMs is 1
  CHECK(iterations < 500);
}

TEST_CASE("a socket removed while its batch is blocked takes its packets along, and the loop goes on") {
  Rig rig;
  const auto app = rig.connect();
  rig.world.add(*app);
  SendErrors::arm(EAGAIN, std::chrono::seconds(30));
  app->send("lost");
  // The simulated socket always reports writable, so it is retried repeatedly; a real kernel would not report
  // it.
  REQUIRE(rig.world.until([&] { return rig.loop.blocked(); }));
  rig.loop.remove_socket(rig.index);
  CHECK(rig.world.until([&] { return !rig.loop.blocked(); }));
  CHECK(rig.peer.conversations.empty());
}

TEST_CASE("packets of a removed socket never leave by the socket that comes next") {
  Rig rig;
  const auto app = rig.connect();
  rig.world.add(*app);
  SendErrors::arm(EAGAIN, std::chrono::seconds(30));
  app->send("for the first peer");
  REQUIRE(rig.world.until([&] { return rig.loop.blocked(); }));
  rig.loop.remove_socket(rig.index);
  test::RawPeer other;
  Receiver receiver;
  UdpOptions options;
  options.index = rig.loop.next_socket_index();
  rig.loop.add_socket(test::must_connect(loopback(other.port()), options), receiver);
  rig.world.add(other);
  // The session still exists and would send through its path: it must not be pumped.
  rig.loop.remove(*rig.session);
  CHECK(rig.world.until([&] { return !rig.loop.blocked(); }));
  rig.world.run_for(std::chrono::milliseconds(20));
  CHECK(other.heard.empty());
  if (options.index != rig.index) CHECK(rig.loop.next_socket_index() == rig.index);  // free again
}

TEST_CASE("a port that nobody answers on does not stop the loop, and the tunnel works once somebody does") {
  std::uint16_t port;
  { port = test::RawPeer().port(); }
  const Profile profile = test::plain_profile(Role::kClient);
  Rig rig(0);
  // The peer of another session opens late, on a port that rejected packets before.
  UdpOptions options;
  options.index = rig.loop.next_socket_index();
  UdpSocket socket = test::must_connect(loopback(port), options);
  const Path path{socket.remote(), socket.local(), options.index};
  Link link(Role::kClient, 78, rig.loop.context(), rig.loop.now());
  auto session = std::make_unique<Session>(rig.loop, link, rig, path, profile);
  struct Feed final : PacketReceiver {
    Feed(Link& to, Engine& on, Session& of) : link(to), loop(on), session(of) {}
    void handle_run(TimePoint now, const Path&, std::span<const Packet> packets) override {
      link.handle_packets(now, packets);
      loop.wake(session);
    }
    Link& link;
    Engine& loop;
    Session& session;
  } feed(link, rig.loop, *session);
  rig.loop.add_socket(std::move(socket), feed);
  test::TcpPair pair = test::tcp_pair();
  const std::uint32_t sid = link.open_stream().value();
  session->attach(std::make_unique<Connection>(*session, sid, std::move(pair.near)));
  App app(std::move(pair.far));
  rig.world.add(app);
  app.send("anybody?");
  REQUIRE(rig.world.until([&] { return rig.loop.udp_counters().pending_errors > 0; }));
  CHECK(test::iterations_of(rig.loop, std::chrono::milliseconds(50)) < 100);
  Peer late(Role::kServer, profile.link, test::must_bind(loopback(port)));
  rig.world.add(late);
  CHECK(rig.world.until(
      [&] { return !late.conversations.empty() && late.only().streams[sid].received == "anybody?"; }));
  rig.loop.remove_socket(options.index);
  rig.loop.flush();
  session.reset();
}

}  // namespace kcptun::engine_test
