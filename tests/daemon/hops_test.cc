// Sessions of a client that change their ports (--hop): to a server that follows them, and to one that does
// not.
#include <algorithm>

#include "daemon/client/client_worker.h"
#include "daemon/server/server_worker.h"
#include "tests/daemon/daemon_harness.h"
#include "tests/daemon/udp_app.h"

namespace kcptun::hops_test {
namespace {

using test::App;
using test::loopback;
using test::UdpApp;
using test::World;

constexpr std::uint16_t kPorts = 4;

/// The first of kPorts free UDP ports in a row.
std::uint16_t free_ports_in_a_row() {
  for (std::uint16_t first = 20000; first < 60000; first = static_cast<std::uint16_t>(first + kPorts)) {
    std::uint16_t free = 0;
    while (free < kPorts && UdpSocket::bind(loopback(static_cast<std::uint16_t>(first + free)), {})) ++free;
    if (free == kPorts) return first;
  }
  FAIL("no free ports");
  return 0;
}

struct DebugLog : test::LogCapture {
  DebugLog() { spdlog::default_logger()->set_level(spdlog::level::debug); }
};

struct Client {
  Client(std::uint16_t port_min, std::uint16_t port_max, Cipher cipher = Cipher::kNull) {
    profile.crypt = cipher;
    profile.key = "raw256:" + std::string(43, 'A');
    profile.link.smux.capabilities = kRequestStreams | kDatagramPackets;
    profile.remote = HostPort{"127.0.0.1", port_min, port_max};
    profile.hop = milliseconds(200);
  }
  void start(World& world) {
    engine = test::make_engine(profile);
    const std::uint16_t port = std::get<HostPort>(profile.remote).port_min;
    worker = std::make_unique<ClientWorker>(profile, *engine, shared, std::vector{loopback(port)});
    shared.parts = {worker.get()};
    worker->add_slot(0);
    FileDescriptor listening = test::must_listen();
    entry = test::port_of(listening.get());
    worker->listen(std::move(listening));
    world.add(*engine);
  }
  std::size_t sockets() const {
    std::size_t count = 0;
    engine->for_each_socket([&count](DatagramSocket&) { ++count; });
    return count;
  }

  Profile profile = test::plain_profile(Role::kClient);
  ClientShared shared;
  test::OwnedEngine engine;
  std::unique_ptr<ClientWorker> worker;
  std::uint16_t entry = 0;
};

/// Both programs. The server listens on `listens` ports from the first on, of which the client has a range.
/// One port is the range of both. Silent sockets have the others.
struct Tunnel {
  explicit Tunnel(Cipher cipher = Cipher::kNull, std::uint16_t listens = kPorts)
      : first(free_ports_in_a_row()), client(first, static_cast<std::uint16_t>(first + kPorts - 1), cipher) {
    profile.crypt = cipher;
    profile.key = client.profile.key;
    profile.link.smux.capabilities = kRequestStreams | kDatagramPackets;
    profile.remote = HostPort{"127.0.0.1", target.port(), target.port()};
    profile.dial_rules.allow = parse_dial_rules("udp/127.0.0.1").value();
    engine = test::make_engine(profile);
    server = std::make_unique<ServerWorker>(profile, *engine, shared, std::vector{loopback(target.port())});
    for (std::uint16_t i = 0; i < listens; ++i)
      REQUIRE(server->listen(loopback(static_cast<std::uint16_t>(first + i)), false).ok());
    for (std::uint16_t i = listens; i < kPorts; ++i)
      silent.push_back(test::must_bind(loopback(static_cast<std::uint16_t>(first + i))));
    // A server accepts its first session under a session header some seconds after its start.
    if (cipher == Cipher::kXChaCha20Poly1305) world.run_for(std::chrono::seconds(7));
    if (listens == 1) client.profile.remote = HostPort{"127.0.0.1", first, first};
    client.start(world);
    udp = client.worker
              ->listen_udp(std::move(FlowSocket::bind(loopback()).value()), socks5_endpoint(echo.address()))
              .value();
    world.add(*engine);
    world.add(target);
    world.add(echo);
  }
  ~Tunnel() {
    client.worker.reset();
    server.reset();
  }
  std::size_t hops() const { return log.count("session hopped"); }

  DebugLog log;
  World world;
  std::uint16_t first;
  std::vector<UdpSocket> silent;
  test::AppServer target;
  UdpApp echo{true};
  Profile profile = test::plain_profile(Role::kServer);
  ServerShared shared;
  test::OwnedEngine engine;
  std::unique_ptr<ServerWorker> server;
  Client client;
  IpEndpoint udp;
};

/// Sends bytes to the target without a pause, and takes the same bytes back.
struct Bulk {
  explicit Bulk(Tunnel& of) : tunnel(of), app(App::connect_to(of.client.entry)) {}
  void step() {
    if (!app.unsent()) {
      const std::string more = test::random_bytes(64 * 1024, ++blocks);
      sent += more;
      app.send(more);
    }
    app.step();
    if (tunnel.target.apps.empty()) return;
    App& far = *tunnel.target.apps.front();
    far.send(far.received.substr(returned));
    returned = far.received.size();
  }
  bool intact() const { return sent.compare(0, app.received.size(), app.received) == 0; }

  Tunnel& tunnel;
  App app;
  std::uint64_t blocks = 0;
  std::string sent;
  std::size_t returned = 0;
};

/// What an older kcptun is to a client: it acknowledges what arrives, and marks nothing.
struct PlainServer {
  explicit PlainServer(World& world) {
    world.add(raw);
    world.add(*this);
  }
  void step() {
    for (const auto& datagram : raw.heard) {
      const auto* data = reinterpret_cast<const std::uint8_t*>(datagram.bytes.data());
      Bytes packet(data, datagram.bytes.size());
      while (const auto segment = take_segment(packet))
        if (segment->command == KcpCommand::kPush) acknowledge(datagram.from, *segment);
      if (std::ranges::find(convs, datagram.conv()) == convs.end()) convs.push_back(datagram.conv());
    }
    raw.heard.clear();
  }
  void acknowledge(std::uint16_t to, Segment segment) {
    std::uint32_t& next = una[segment.conv];
    if (segment.sn == next) ++next;
    bytes[segment.conv] += segment.data.size();
    segment.command = KcpCommand::kAck;
    segment.una = next;
    segment.window = 128;
    std::string ack(kSegmentHeader, '\0');
    write_segment_header(reinterpret_cast<std::uint8_t*>(ack.data()), segment, 0);
    raw.send(to, ack);
  }

  test::RawPeer raw;
  std::vector<std::uint32_t> convs;  // of the sessions, in order of arrival
  std::map<std::uint32_t, std::uint32_t> una;
  std::map<std::uint32_t, std::size_t> bytes;
};

}  // namespace

TEST_CASE("a session that the server follows changes its ports, and its streams and flows lose nothing") {
  const Cipher cipher = GENERATE(Cipher::kNull, Cipher::kXChaCha20Poly1305);
  const bool has_range = GENERATE(true, false);
  const std::uint16_t listens = has_range ? kPorts : 1;
  if (cipher != Cipher::kNull && !has_range) return;
  Tunnel tunnel(cipher, listens);
  Bulk bulk(tunnel);
  tunnel.world.add(bulk);
  UdpApp app;
  tunnel.world.add(app);
  std::size_t asked = 0;
  CHECK(tunnel.world.until([&] {
    if (app.heard.size() == asked) {
      app.send(tunnel.udp, std::to_string(asked));
      ++asked;
    }
    return tunnel.hops() >= 8;
  }));
  INFO(tunnel.log.text());
  const std::size_t before = bulk.app.received.size();
  CHECK(tunnel.world.until([&] { return bulk.app.received.size() > before + (1 << 20); }));
  CHECK(bulk.intact());
  CHECK(tunnel.world.until([&] { return app.heard.size() == asked; }));
  for (std::size_t i = 0; i < app.heard.size(); ++i) CHECK(app.heard[i] == std::to_string(i));
  CHECK(tunnel.server->counters().passive_opens == 1);
  CHECK(tunnel.log.count("session dialled") == 1);
  CHECK(tunnel.log.count("session moved") >= 7);  // the server's
  CHECK(tunnel.log.count("cannot hop") == 0);
  CHECK(tunnel.client.sockets() <= 2);
}

TEST_CASE("a session without streams hops, too, and the server's answers find it") {
  Tunnel tunnel;
  REQUIRE(tunnel.world.until([&] { return tunnel.hops() >= 3; }));
  App app = App::connect_to(tunnel.client.entry);
  tunnel.world.add(app);
  app.send("x");
  REQUIRE(tunnel.world.until([&] { return tunnel.target.apps.size() == 1; }));
  const std::size_t before = tunnel.hops();
  REQUIRE(tunnel.world.until([&] { return tunnel.hops() >= before + 2; }));
  tunnel.target.apps[0]->send("y");  // the application has sent nothing since
  CHECK(tunnel.world.until([&] { return app.received == "y"; }));
  CHECK(tunnel.log.count("session dialled") == 1);
}

TEST_CASE("ports that do not answer cost a session nothing, and the log has one line about them") {
  std::unique_ptr<Tunnel> tunnel;
  bool answered = false;
  for (int tries = 0; tries < 30 && !answered; ++tries) {  // it dials one of the two that answer, or not
    tunnel.reset();                                        // before the next one takes over the log
    tunnel = std::make_unique<Tunnel>(Cipher::kNull, kPorts / 2);
    answered = tunnel->world.until([&] { return tunnel->server->counters().passive_opens == 1; },
                                   std::chrono::milliseconds(300));
  }
  REQUIRE(answered);
  Bulk bulk(*tunnel);
  tunnel->world.add(bulk);
  CHECK(tunnel->world.until([&] {
    return tunnel->log.count("cannot hop") >= 1 && tunnel->hops() >= 2 &&
           bulk.app.received.size() > (1 << 20);
  }));
  CHECK(bulk.intact());
  CHECK(tunnel->log.count("session dialled") == 1);
  CHECK(tunnel->log.count("session suspect") == 0);
}

TEST_CASE("a session of another server is replaced by one that it answers, and keeps its streams") {
  World world;
  DebugLog log;
  PlainServer server(world);
  Client client(server.raw.port(), server.raw.port());
  client.start(world);
  App first = App::connect_to(client.entry);
  world.add(first);
  first.send("one");
  REQUIRE(world.until([&] { return log.count("session hopped") >= 1; }));
  App second = App::connect_to(client.entry);
  world.add(second);
  REQUIRE(world.until([&] { return log.count("stream opened") == 2; }));
  REQUIRE(server.convs.size() >= 2);
  const std::uint32_t old = server.convs.front();
  const std::size_t before = server.bytes[old];
  first.send(std::string(50'000, 'a'));
  CHECK(world.until([&] { return server.bytes[old] >= before + 50'000; }));
  CHECK_FALSE(first.ended);
  CHECK_FALSE(second.ended);
  // Those without streams end.
  CHECK(world.until([&] { return log.count("session hopped") >= 6; }));
  CHECK(world.until([&] { return client.worker->counters().curr_estab <= 4; }));
  client.worker.reset();
}

TEST_CASE("sessions are not replaced without bound") {
  World world;
  DebugLog log;
  PlainServer server(world);
  Client client(server.raw.port(), server.raw.port());
  client.profile.hop = milliseconds(10);
  client.start(world);
  std::vector<std::unique_ptr<App>> apps;
  const auto hold = [&] {
    apps.push_back(std::make_unique<App>(App::connect_to(client.entry)));
    world.add(*apps.back());
    apps.back()->send("x");
    const std::size_t streams = log.count("stream opened");
    REQUIRE(world.until([&] { return log.count("stream opened") > streams; }));
  };
  const auto left = [&] { return client.worker->counters().curr_estab - 1; };
  REQUIRE(world.until([&] {
    const std::size_t hops = log.count("session hopped");
    hold();
    return left() >= ClientWorker::kMaxLeftSessions ||
           !world.until([&] { return log.count("session hopped") > hops; });
  }));
  world.run_for(std::chrono::milliseconds(1500));  // scavenge() runs every second
  CHECK(left() == ClientWorker::kMaxLeftSessions);
  hold();
  for (const auto& app : apps) CHECK_FALSE(app->ended);
  client.worker.reset();
}

}  // namespace kcptun::hops_test
