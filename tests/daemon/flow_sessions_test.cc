// Which sessions of a client carry UDP flows, and how long these sessions stay.
#include <algorithm>

#include "daemon/client/client_worker.h"
#include "daemon/server/server_worker.h"
#include "tests/daemon/daemon_harness.h"
#include "tests/daemon/udp_app.h"

namespace kcptun::flow_sessions_test {
namespace {

using test::App;
using test::loopback;
using test::UdpApp;

/// Both workers. The client has a TCP entrance to the server's target, and a UDP entrance to `echo`.
struct Tunnel {
  explicit Tunnel(std::optional<std::uint32_t> conn) {
    const std::uint16_t port = test::must_bind().local().port;
    server_profile.remote = HostPort{"127.0.0.1", target.port(), target.port()};
    server_profile.dial_rules.allow = parse_dial_rules("udp/127.0.0.1").value();
    client_profile.remote = HostPort{"127.0.0.1", port, port};
    client_profile.conn = conn;
    for (Profile* profile : {&client_profile, &server_profile})
      profile->link.smux.capabilities = kRequestStreams | kDatagramPackets;
    server_engine = test::make_engine(server_profile);
    server = std::make_unique<ServerWorker>(server_profile, *server_engine, server_shared,
                                            std::vector{loopback(target.port())});
    REQUIRE(server->listen(loopback(port), false).ok());
    client_engine = test::make_engine(client_profile);
    client = std::make_unique<ClientWorker>(client_profile, *client_engine, client_shared,
                                            std::vector{loopback(port)});
    client_shared.parts = {client.get()};
    for (std::size_t slot = 0; slot < conn.value_or(kMaxAutoSessions); ++slot) client->add_slot(slot);
    FileDescriptor listening = test::must_listen();
    tcp = test::port_of(listening.get());
    client->listen(std::move(listening));
    udp = client->listen_udp(std::move(FlowSocket::bind(loopback()).value()), socks5_endpoint(echo.address()))
              .value();
    world.add(*server_engine);
    world.add(*client_engine);
    world.add(target);
    world.add(echo);
  }
  ~Tunnel() {
    client.reset();
    server.reset();
  }
  /// Until the echo is there; returns the port of the server from which this flow's datagrams come.
  std::uint16_t exchange(UdpApp& app) {
    app.heard.clear();
    app.send(udp, "hello");
    REQUIRE(world.until([&] {
      app.step();
      return !app.heard.empty();
    }));
    return echo.from.port;
  }

  test::LogCapture log;
  test::AppServer target;
  UdpApp echo{true};
  Profile client_profile = test::plain_profile(Role::kClient);
  Profile server_profile = test::plain_profile(Role::kServer);
  ClientShared client_shared;
  ServerShared server_shared;
  test::OwnedEngine server_engine, client_engine;
  std::unique_ptr<ServerWorker> server;
  std::unique_ptr<ClientWorker> client;
  std::uint16_t tcp = 0;
  IpEndpoint udp;
  test::World world;
};

}  // namespace

TEST_CASE("flows alone do not make a client dial further sessions") {
  Tunnel tunnel(std::nullopt);
  std::vector<UdpApp> apps(8);
  apps[0].send(tunnel.udp, "before there is a session");
  for (UdpApp& app : apps) tunnel.exchange(app);
  CHECK(tunnel.log.count("session dialled") == 1);
}

TEST_CASE("with conn auto a flow that finds no session has the first one dialled, not all four") {
  Tunnel tunnel(std::nullopt);
  UdpApp app;
  tunnel.exchange(app);
  tunnel.client_profile.autoexpire = milliseconds(1);
  std::vector<UdpApp> others(4);
  for (UdpApp& other : others) other.send(tunnel.udp, "finds an expired session");
  tunnel.exchange(app);
  tunnel.client_profile.autoexpire = seconds(0);
  tunnel.exchange(others[0]);
  CHECK(tunnel.log.count("session dialled") == 2);
}

TEST_CASE("an expired session stays while it has flows, and they keep their ports") {
  Tunnel tunnel(1);
  UdpApp app, other;
  const std::uint16_t port = tunnel.exchange(app);
  tunnel.client_profile.autoexpire = milliseconds(1);
  tunnel.world.run_for(std::chrono::milliseconds(10));
  other.send(tunnel.udp, "expires the session");
  REQUIRE(tunnel.world.until([&] { return tunnel.log.count("session expired") == 1; }));
  tunnel.client_profile.autoexpire = seconds(0);
  tunnel.world.run_for(std::chrono::milliseconds(1500));  // scavenge() runs every second
  CHECK(tunnel.exchange(app) == port);
  CHECK(tunnel.log.count("session scavenged") == 0);
}

TEST_CASE("an expired session that is past scavengettl ends its flows") {
  Tunnel tunnel(1);
  UdpApp app, other;
  const std::uint16_t port = tunnel.exchange(app);
  tunnel.client_profile.autoexpire = milliseconds(100);
  tunnel.client_profile.scavengettl = milliseconds(10);
  tunnel.world.run_for(std::chrono::milliseconds(110));
  other.send(tunnel.udp, "expires the session");
  REQUIRE(tunnel.world.until([&] { return tunnel.log.count("session scavenged") == 1; }));
  tunnel.client_profile.autoexpire = seconds(0);
  CHECK(tunnel.exchange(app) != port);
}

TEST_CASE("a further session is not folded while it has a flow") {
  Tunnel tunnel(std::nullopt);
  tunnel.client_profile.fold_after = milliseconds(200);
  const auto connect = [&tunnel] {
    auto app = std::make_unique<App>(App::connect_to(tunnel.tcp));
    const std::size_t before = tunnel.target.apps.size();
    app->send("x");
    REQUIRE(tunnel.world.until([&] {
      app->step();
      return tunnel.target.apps.size() == before + 1;
    }));
    return app;
  };
  const auto bulk = connect();
  REQUIRE(tunnel.world.until([&] {
    if (!bulk->unsent()) bulk->send(std::string(1 << 20, 'b'));
    bulk->step();
    tunnel.target.apps.front()->received.clear();
    return tunnel.client->share().open_sessions.at(0).saturated;
  }));
  const auto second = connect();
  REQUIRE(tunnel.client->share().sessions == 2);
  UdpApp app;
  const std::uint16_t port = tunnel.exchange(app);  // the first session is full
  second->close();
  tunnel.world.run_for(std::chrono::milliseconds(1000));
  CHECK(tunnel.log.count("session folded") == 0);
  CHECK(tunnel.client->share().sessions == 2);
  CHECK(tunnel.exchange(app) == port);
}

}  // namespace kcptun::flow_sessions_test
