// The client's and the server's worker: how connections are assigned to sessions, and what happens to both
// when a session ends. Peers are plain sockets that send hand-written datagrams.
#include "daemon/client/client_worker.h"
#include "daemon/server/server_worker.h"
#include "tests/daemon/daemon_harness.h"

namespace kcptun::workers_test {
namespace {

using test::App;
using test::AppServer;
using test::LogCapture;
using test::loopback;
using test::push_datagram;
using test::RawPeer;
using test::smux_frame;
using test::World;

constexpr auto kMoment = std::chrono::milliseconds(100);

std::string syn(std::uint32_t sid) { return smux_frame(2, SmuxCommand::kSyn, sid); }
std::string data(std::uint32_t sid, const std::string& bytes) {
  return smux_frame(2, SmuxCommand::kPush, sid, bytes);
}
/// Ends a session of smux version 2.
std::string mismatch() { return smux_frame(1, SmuxCommand::kNop, 0); }

struct ServerRig {
  ServerRig() {
    profile.remote = HostPort{"127.0.0.1", target.port(), target.port()};
    port = test::must_bind().local().port;
    owned = test::make_engine(profile);
    part = std::make_unique<ServerWorker>(profile, *owned, shared,
                                          std::vector<IpEndpoint>{loopback(target.port())});
    REQUIRE(part->listen(loopback(port), false).ok());
    world.add(*owned);
    world.add(target);
    world.add(raw);
  }
  ~ServerRig() { part.reset(); }
  App& app(std::size_t index) { return *target.apps.at(index); }

  LogCapture log;
  Profile profile = test::plain_profile(Role::kServer);
  AppServer target;
  RawPeer raw;
  std::uint16_t port = 0;
  test::OwnedEngine owned;
  ServerShared shared;
  std::unique_ptr<ServerWorker> part;
  World world;
};

/// The client's worker. Its server is a plain socket.
struct ClientRig {
  explicit ClientRig(std::uint32_t conn = 1, const std::string& remote_host = "127.0.0.1") {
    profile.conn = conn;
    profile.remote = HostPort{remote_host, raw.port(), raw.port()};
    owned = test::make_engine(profile);
    part = std::make_unique<ClientWorker>(profile, *owned, shared,
                                          std::vector<IpEndpoint>{loopback(raw.port())});
    shared.parts.push_back(part.get());
    FileDescriptor listening = test::must_listen();
    entry = test::port_of(listening.get());
    part->listen(std::move(listening));
    world.add(*owned);
    world.add(raw);
  }
  ~ClientRig() { part.reset(); }
  void add_slots() {
    for (std::size_t slot = 0; slot < profile.conn; ++slot) part->add_slot(slot);
    owned->flush();
  }
  std::unique_ptr<App> connect() {
    auto app = std::make_unique<App>(App::connect_to(entry));
    world.add(*app);
    return app;
  }
  /// Sessions received from, with their source ports, in order.
  std::vector<std::pair<std::uint16_t, std::uint32_t>> sessions() const {
    std::vector<std::pair<std::uint16_t, std::uint32_t>> all;
    for (const RawPeer::Datagram& datagram : raw.heard) {
      const std::pair one{datagram.from, datagram.conv()};
      if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
    }
    return all;
  }

  /// The server of session number `i` sends it one frame.
  void push(std::size_t i, const std::string& frame) {
    const auto [port, conv] = sessions().at(i);
    raw.send(port, push_datagram(conv, 0, frame));
  }
  /// The server ends the first session, by a mismatch, with the connection `app` in it.
  void end_first_session(const App& app) {
    REQUIRE(world.until([&] { return sessions().size() == 1; }));
    push(0, mismatch());
    REQUIRE(world.until([&] { return app.ended; }));
  }

  LogCapture log;
  Profile profile = test::plain_profile(Role::kClient);
  RawPeer raw;
  ClientShared shared;
  test::OwnedEngine owned;
  std::unique_ptr<ClientWorker> part;
  std::uint16_t entry = 0;
  World world;
};

/// False if the tunnel has closed the accepted connection's descriptor.
bool is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

}  // namespace

// --- the server ---

TEST_CASE("a conversation that a newer one replaces has its connections reset, and the newer one works") {
  ServerRig rig;
  rig.raw.send(rig.port, push_datagram(1001, 0, syn(3) + data(3, "old")));
  REQUIRE(rig.world.until([&] { return rig.target.apps.size() == 1 && rig.app(0).received == "old"; }));
  rig.raw.send(rig.port, push_datagram(1002, 0, syn(3) + data(3, "new")));
  CHECK(rig.world.until([&] { return rig.app(0).ended; }));
  CHECK(rig.app(0).was_reset());
  CHECK(rig.world.until([&] { return rig.target.apps.size() == 2 && rig.app(1).received == "new"; }));
  CHECK(rig.log.count("replaced by a newer one") == 1);
  CHECK(rig.part->counters().passive_opens == 2);
  CHECK(rig.part->counters().curr_estab == 1);
}

TEST_CASE("a foreign conversation that does not begin replaces nothing") {
  ServerRig rig;
  rig.raw.send(rig.port, push_datagram(1001, 0, syn(3) + data(3, "a")));
  REQUIRE(rig.world.until([&] { return rig.target.apps.size() == 1 && rig.app(0).received == "a"; }));
  rig.raw.send(rig.port, push_datagram(1002, 7, data(3, "stray")));
  rig.raw.send(rig.port, push_datagram(1001, 1, data(3, "b")));
  CHECK(rig.world.until([&] { return rig.app(0).received == "ab"; }));
  CHECK_FALSE(rig.app(0).ended);
  CHECK(rig.part->counters().curr_estab == 1);
}

TEST_CASE("replacement after replacement in one burst leaves the last one") {
  ServerRig rig;
  for (std::uint32_t conv = 1; conv <= 20; ++conv)
    rig.raw.send(rig.port, push_datagram(conv, 0, syn(3) + data(3, std::to_string(conv))));
  CHECK(rig.world.until([&] {
    for (const auto& app : rig.target.apps)
      if (app->received == "20") return true;
    return false;
  }));
  CHECK(rig.world.until([&] { return rig.log.count("replaced") == 19; }));
  CHECK(rig.part->counters().curr_estab == 1);
}

TEST_CASE(
    "a protocol error closes all connections of a server's session, and the next packet opens a fresh one") {
  ServerRig rig;
  rig.raw.send(rig.port, push_datagram(1001, 0, syn(3) + syn(5) + data(3, "a") + data(5, "b")));
  REQUIRE(rig.world.until([&] {
    return rig.target.apps.size() == 2 && !rig.app(0).received.empty() && !rig.app(1).received.empty();
  }));
  rig.raw.send(rig.port, push_datagram(1001, 1, mismatch()));
  CHECK(rig.world.until([&] { return rig.app(0).ended && rig.app(1).ended; }));
  CHECK(rig.app(0).was_reset());
  CHECK(rig.app(1).was_reset());
  CHECK(rig.log.count("another smux version") == 1);
  CHECK(rig.part->counters().curr_estab == 0);
  rig.raw.send(rig.port, push_datagram(1002, 0, syn(3) + data(3, "c")));
  CHECK(rig.world.until([&] { return rig.target.apps.size() == 3 && rig.app(2).received == "c"; }));
}

TEST_CASE("a protocol error while the target is being dialled leaves nothing behind") {
  ServerRig rig;
  rig.raw.send(rig.port, push_datagram(1001, 0, syn(3) + data(3, "a") + mismatch()));
  CHECK(rig.world.until([&] { return rig.log.count("session closed") == 1; }));
  CHECK(rig.part->counters().curr_estab == 0);
  CHECK(rig.owned->backlog_pool().in_use() == 0);
  CHECK(rig.owned->context().segments.in_use() == 0);
}

TEST_CASE("a sid that was broken may be opened again in the same datagram") {
  ServerRig rig;
  rig.raw.send(rig.port, push_datagram(1001, 0, syn(3) + data(3, "one")));
  REQUIRE(rig.world.until([&] { return rig.target.apps.size() == 1 && rig.app(0).received == "one"; }));
  std::string impossible(8, '\0');
  store_u32(reinterpret_cast<std::uint8_t*>(impossible.data()), 0x40000000);
  const std::string breaks = smux_frame(2, SmuxCommand::kUpdate, 3, impossible);
  rig.raw.send(rig.port, push_datagram(1001, 1, breaks + syn(3) + data(3, "two")));
  CHECK(rig.world.until([&] { return rig.app(0).ended; }));
  CHECK(rig.app(0).was_reset());
  rig.world.run_for(kMoment);
  // Smux decides whether the second stream is accepted. The first one must be closed for good.
  CHECK(rig.app(0).received == "one");
}

TEST_CASE("what a server's listening address has wrong is an error that names it") {
  ServerRig rig;
  const Result<int> taken = rig.part->listen(loopback(rig.raw.port()), false);
  REQUIRE_FALSE(taken);
  CHECK(taken.error().find("127.0.0.1:" + std::to_string(rig.raw.port())) != std::string::npos);
}

TEST_CASE("after shut_down a server opens no more conversations") {
  ServerRig rig;
  rig.part->shut_down();
  rig.raw.send(rig.port, push_datagram(1001, 0, syn(3)));
  rig.world.run_for(kMoment);
  CHECK(rig.target.apps.empty());
  CHECK(rig.part->counters().passive_opens == 0);
}

// --- the client ---

TEST_CASE("connections go round robin over the sessions") {
  ClientRig rig(3);
  rig.add_slots();
  std::vector<std::unique_ptr<App>> apps;
  for (std::size_t i = 0; i < 6; ++i) {
    const std::size_t heard = rig.raw.heard.size();
    apps.push_back(rig.connect());
    apps.back()->send("number " + std::to_string(i));
    REQUIRE(rig.world.until([&] {
      for (std::size_t k = heard; k < rig.raw.heard.size(); ++k)
        if (rig.raw.heard[k].bytes.find("number " + std::to_string(i)) != std::string::npos) return true;
      return false;
    }));
  }
  const auto conversations = rig.sessions();
  REQUIRE(conversations.size() == 3);
  for (std::size_t i = 0; i < 6; ++i) {
    const std::string word = "number " + std::to_string(i);
    for (const RawPeer::Datagram& datagram : rig.raw.heard)
      if (datagram.bytes.find(word) != std::string::npos) CHECK(datagram.from == conversations[i % 3].first);
  }
}

TEST_CASE(
    "a protocol error closes all connections of a client's session, and the next one gets a fresh session") {
  ClientRig rig;
  rig.add_slots();
  const auto one = rig.connect();
  const auto two = rig.connect();
  one->send("a");
  two->send("b");
  REQUIRE(rig.world.until([&] {
    std::string all;
    for (const auto& datagram : rig.raw.heard) all += datagram.bytes.substr(kSegmentHeader);
    return test::count_of(all, data(3, "a")) + test::count_of(all, data(5, "a")) > 0 &&
           test::count_of(all, data(3, "b")) + test::count_of(all, data(5, "b")) > 0;
  }));
  REQUIRE(rig.sessions().size() == 1);
  const auto [from, conv] = rig.sessions()[0];
  rig.raw.send(from, push_datagram(conv, 0, mismatch()));
  CHECK(rig.world.until([&] { return one->ended && two->ended; }));
  CHECK(one->was_reset());
  CHECK(two->was_reset());
  CHECK(rig.part->counters().curr_estab == 0);

  const auto three = rig.connect();
  three->send("c");
  CHECK(rig.world.until([&] { return rig.sessions().size() == 2; }));
  CHECK(rig.sessions()[1].first != from);  // a new port
  CHECK(rig.sessions()[1].second != conv);
  CHECK_FALSE(three->ended);
  CHECK(rig.part->counters().active_opens == 2);
  CHECK(rig.part->counters().curr_estab == 1);
}

TEST_CASE("a client asks at once whether its server is there, and says what it hears", "[status]") {
  ClientRig rig;
  rig.add_slots();
  REQUIRE(rig.world.until([&] { return rig.sessions().size() == 1; }));  // no connection came
  CHECK(rig.part->peer().state == PeerState::kConnecting);
  const auto [from, conv] = rig.sessions()[0];
  rig.raw.send(from, push_datagram(conv, 0, smux_frame(2, SmuxCommand::kNop, 0)));
  CHECK(rig.world.until([&] { return rig.part->peer().state == PeerState::kConnected; }));
  const TunnelSnapshot share = rig.part->share();
  CHECK(share.peer.state == PeerState::kConnected);
  CHECK(share.open_sessions.at(0).peer.state == PeerState::kConnected);
}

TEST_CASE("a server that ends each session by its settings counts as refusing, with the hint", "[status]") {
  ClientRig rig;
  rig.add_slots();
  REQUIRE(rig.world.until([&] { return rig.sessions().size() == 1; }));
  rig.push(0, mismatch());
  CHECK(rig.world.until([&] { return rig.part->peer().state == PeerState::kRefused; }));
  CHECK(rig.part->peer().hint.find("smuxver") != std::string::npos);
  CHECK(rig.part->peer().since);
}

TEST_CASE("a server is waiting until a client has a session", "[status]") {
  ServerRig rig;
  CHECK(rig.part->peer().state == PeerState::kWaiting);
  rig.raw.send(rig.port, push_datagram(1001, 0, syn(3) + data(3, "a")));
  CHECK(rig.world.until([&] { return rig.part->peer().state == PeerState::kConnected; }));
  CHECK(rig.part->share().open_sessions.at(0).peer.state == PeerState::kConnected);
}

TEST_CASE("one slot's session ends alone: the others keep their connections") {
  ClientRig rig(2);
  rig.add_slots();
  REQUIRE(
      rig.world.until([&] { return rig.sessions().size() == 2; }));  // each asks whether the server is there
  const auto one = rig.connect();
  const auto two = rig.connect();
  REQUIRE(rig.world.until([&] { return rig.part->streams() == 2; }));
  rig.push(0, mismatch());
  CHECK(rig.world.until([&] { return one->ended; }));
  rig.world.run_for(kMoment);
  CHECK_FALSE(two->ended);
}

TEST_CASE("MaxConn is how many sessions there were at once, not ever") {
  ClientRig rig;
  rig.add_slots();
  for (std::size_t i = 0; i < 3; ++i) {
    const auto app = std::make_unique<App>(App::connect_to(rig.entry));
    REQUIRE(rig.world.until([&] { return rig.sessions().size() == i + 1; }));
    rig.push(i, mismatch());
    REQUIRE(rig.world.until([&] { return rig.part->counters().curr_estab == 0; }));
  }
  CHECK(rig.part->counters().active_opens == 3);
  CHECK(rig.part->counters().max_conn == 1);
}

TEST_CASE("a server that opens streams ends the session") {
  ClientRig rig;
  rig.add_slots();
  const auto one = rig.connect();
  REQUIRE(rig.world.until([&] { return rig.sessions().size() == 1; }));
  rig.push(0, syn(2));
  CHECK(rig.world.until([&] { return one->ended; }));
}

TEST_CASE("connections that wait for a dial are bounded, and served when it is done") {
  ClientRig rig(1, "localhost");  // a name: resolved in the background, by a slot without a session
  rig.part.reset();
  rig.part = std::make_unique<ClientWorker>(rig.profile, *rig.owned, rig.shared, std::vector<IpEndpoint>{});
  rig.shared.parts[0] = rig.part.get();
  rig.part->add_slot(0);
  test::TcpPair pair = test::tcp_pair();
  std::vector<int> fds;
  for (std::size_t i = 0; i < ClientWorker::kMaxWaiting + 100; ++i) {
    fds.push_back(fcntl(pair.near.get(), F_DUPFD_CLOEXEC, 3000 + static_cast<int>(i)));
    REQUIRE(fds.back() >= 0);
    rig.part->take(FileDescriptor(fds.back()), 0);
  }
  std::size_t kept = 0;
  for (const int fd : fds) kept += is_open(fd);
  CHECK(kept == ClientWorker::kMaxWaiting);
  CHECK(rig.log.count("session dialled") == 0);
  CHECK(rig.world.until([&] { return rig.log.count("stream opened") == ClientWorker::kMaxWaiting; }));
  CHECK(rig.log.count("session dialled") == 1);
  CHECK(rig.world.until([&] { return !rig.sessions().empty(); }));
}

TEST_CASE("a name that cannot be resolved any more: name lookup failed, using the previous addresses") {
  ClientRig rig(1, std::string(70, 'x') + ".invalid");
  rig.add_slots();
  const auto one = rig.connect();
  rig.end_first_session(*one);
  const auto two = rig.connect();
  CHECK(rig.world.until([&] { return rig.sessions().size() == 2; }));
  CHECK(rig.log.count("name lookup failed, using the previous addresses") == 1);
}

TEST_CASE("a missing host is this machine when dialling again, too") {
  ClientRig rig(1, "");
  rig.add_slots();
  const auto one = rig.connect();
  rig.end_first_session(*one);
  const auto two = rig.connect();
  CHECK(rig.world.until([&] { return rig.sessions().size() == 2; }, std::chrono::seconds(2)));
  INFO(rig.log.text());
  CHECK(rig.log.count("session dialled conv") == 2);
  CHECK(rig.log.count("remote=127.0.0.1:") == 2);
}

TEST_CASE("an address that cannot be dialled is named, and tried again while connections wait") {
  LogCapture log;
  Profile profile = test::plain_profile(Role::kClient);
  profile.remote = HostPort{"255.255.255.255", 4000, 4000};
  const auto loop = test::make_engine(profile);
  ClientShared shared;
  auto part = std::make_unique<ClientWorker>(
      profile, *loop, shared, std::vector<IpEndpoint>{parse_ip("255.255.255.255", 4000).value()});
  shared.parts.push_back(part.get());
  part->add_slot(0);  // broadcast: EACCES
  CHECK(log.count("the server cannot be dialled yet") == 1);
  CHECK(log.count("255.255.255.255:4000") > 0);
  test::TcpPair pair = test::tcp_pair();
  const int fd = pair.near.get();
  part->take(std::move(pair.near), 0);
  World world;
  world.add(*loop);
  world.run_for(std::chrono::milliseconds(1500));  // past the first retry
  CHECK(is_open(fd));
  CHECK(log.count("the server cannot be dialled yet") == 1);
  profile.remote = HostPort{"127.0.0.1", 4000, 4000};
  const std::vector<IpEndpoint> known{loopback(4000)};
  part->apply_profile(&known);
  CHECK(world.until([&] { return log.count("session dialled") == 1; }));
  CHECK(world.until([&] { return log.count("stream opened") == 1; }));
}

TEST_CASE("connections wait for a server for a time, and are closed then") {
  LogCapture log;
  Profile profile = test::plain_profile(Role::kClient);
  profile.remote = HostPort{"255.255.255.255", 4000, 4000};
  const auto loop = test::make_engine(profile);
  ClientShared shared;
  auto part = std::make_unique<ClientWorker>(profile, *loop, shared, std::vector<IpEndpoint>{});
  shared.parts.push_back(part.get());
  part->add_slot(0);
  test::TcpPair pair = test::tcp_pair();
  App app(std::move(pair.far));
  part->take(std::move(pair.near), 0);
  World world;
  world.add(*loop);
  world.add(app);
  CHECK(world.until([&] { return app.ended; }));
  CHECK(log.count("connections closed: no session could be dialled for them count=1") == 1);
}

TEST_CASE("the first address that can be dialled is taken") {
  ClientRig rig;
  rig.part.reset();
  rig.part = std::make_unique<ClientWorker>(
      rig.profile, *rig.owned, rig.shared,
      std::vector<IpEndpoint>{parse_ip("255.255.255.255", 4000).value(), loopback(rig.raw.port())});
  rig.shared.parts[0] = rig.part.get();
  rig.part->add_slot(0);
  CHECK(rig.world.until([&] { return rig.log.count("session dialled") == 1; }));
}

TEST_CASE("an expired session keeps its connections, and the next one gets a new session") {
  ClientRig rig;
  rig.profile.autoexpire = milliseconds(200);  // the second session must not expire while it is dialled
  rig.add_slots();
  const auto one = rig.connect();
  REQUIRE(rig.world.until([&] { return rig.sessions().size() == 1; }));
  rig.world.run_for(std::chrono::milliseconds(250));
  const auto two = rig.connect();
  CHECK(rig.world.until([&] { return rig.sessions().size() == 2; }));
  CHECK_FALSE(one->ended);
  CHECK_FALSE(two->ended);
  CHECK(rig.part->counters().curr_estab == 2);
  // A session that ends while it is expired ends like any other.
  rig.push(0, mismatch());
  CHECK(rig.world.until([&] { return one->ended; }));
  CHECK_FALSE(two->ended);
  CHECK(rig.part->counters().curr_estab == 1);
}

TEST_CASE("an expired session that is past scavengettl has its connections reset") {
  ClientRig rig;
  rig.profile.autoexpire = milliseconds(1);
  rig.profile.scavengettl = milliseconds(10);
  rig.add_slots();
  const auto one = rig.connect();
  REQUIRE(rig.world.until([&] { return rig.sessions().size() == 1; }));
  rig.world.run_for(std::chrono::milliseconds(5));
  const auto two = rig.connect();
  CHECK(rig.world.until([&] { return one->ended; }));
  CHECK(one->was_reset());
  CHECK_FALSE(two->ended);
}

TEST_CASE("sessions that expire faster than they are looked at are looked at all the same") {
  ClientRig rig;
  rig.profile.autoexpire = milliseconds(1);
  rig.profile.scavengettl = milliseconds(10);
  rig.add_slots();
  const auto first = rig.connect();
  std::vector<std::unique_ptr<App>> others;
  // One every 200 ms: 3 s in total, and scavenge() runs every second.
  for (int i = 0; i < 15 && !first->ended; ++i) {
    rig.world.run_for(std::chrono::milliseconds(200));
    others.push_back(rig.connect());
  }
  CHECK(first->ended);
  CHECK(rig.part->counters().curr_estab < 14);
}

TEST_CASE("a connection that waits for one of several servers goes to the one that a reload leaves") {
  ClientRig rig;
  RawPeer silent[2];
  const auto at = [](const RawPeer& peer) { return HostPort{"127.0.0.1", peer.port(), peer.port()}; };
  const Address left = rig.profile.remote;
  const auto reload = [&rig](std::vector<HostPort> servers) {
    rig.profile.servers = std::move(servers);
    rig.profile.remote = rig.profile.servers.front();
    const std::vector<IpEndpoint> remotes{loopback(rig.raw.port())};
    rig.part->apply_profile(&remotes);
  };
  reload({at(silent[0]), at(silent[1])});
  rig.part->add_slot(0);
  test::TcpPair pair = test::tcp_pair();
  rig.part->take(std::move(pair.near), 0);
  rig.owned->flush();
  REQUIRE(rig.log.count("no server answers") == 0);  // so it waits
  reload({std::get<HostPort>(left)});
  CHECK(rig.world.until([&] { return rig.sessions().size() == 1; }));
}

TEST_CASE("after shut_down a client takes no more connections") {
  ClientRig rig;
  rig.add_slots();
  rig.part->shut_down();
  test::TcpPair pair = test::tcp_pair();
  const int fd = pair.near.get();
  rig.part->take(std::move(pair.near), 0);
  CHECK_FALSE(is_open(fd));
}

// Detects a use after free: run it under AddressSanitizer.
TEST_CASE("a client that goes away while a name is being resolved is not called back") {
  ClientRig rig(1, "localhost");
  rig.part.reset();
  rig.part = std::make_unique<ClientWorker>(rig.profile, *rig.owned, rig.shared, std::vector<IpEndpoint>{});
  rig.shared.parts[0] = rig.part.get();
  rig.part->add_slot(0);
  test::TcpPair pair = test::tcp_pair();
  rig.part->take(std::move(pair.near), 0);
  rig.part->shut_down();
  rig.part.reset();   // as in ~Daemon: workers first,
  rig.owned.reset();  // then the engines, which run until nothing is left
  SUCCEED();
}

}  // namespace kcptun::workers_test
