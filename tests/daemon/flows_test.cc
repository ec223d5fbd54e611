// UDP flows from an application's socket to a destination's and back: a session between two engines, over
// real loopback sockets.
#include <algorithm>
#include <deque>

#include "core/proxy/request_reader.h"
#include "daemon/client/client_worker.h"
#include "daemon/client/udp_entrance.h"
#include "daemon/net/flow_socket.h"
#include "daemon/server/server_worker.h"
#include "daemon/server/udp_flow.h"
#include "tests/daemon/daemon_harness.h"
#include "tests/daemon/udp_app.h"

namespace kcptun::flows_test {
namespace {

using test::loopback;
using test::UdpApp;

constexpr std::uint32_t kBoth = kRequestStreams | kDatagramPackets;

struct Rules final : FlowPolicy {
  bool may_resolve(const Socks5Address&) const override { return resolves; }
  bool permits(const Socks5Address&, const IpEndpoint& destination) const override {
    asked.push_back(destination);
    return allowed;
  }
  bool resolves = true;
  bool allowed = true;
  mutable std::vector<IpEndpoint> asked;
};

/// Reads the request of a stream and replaces itself by a flow.
class Request final : public StreamEnd {
 public:
  Request(Session& session, std::uint32_t sid, const FlowPolicy& policy, FlowShare& share)
      : StreamEnd(sid), session_(session), policy_(policy), share_(share) {}

  void handle_data(MutableBytes data) override {
    data = data.subspan(reader_.handle_input(data));
    if (reader_.state() != RequestReader::State::kComplete) return;
    std::vector<std::uint8_t> reply = reader_.take_reply();
    const auto code = reply_to_request(RequestProtocol::kSocks5, ReplyCode::kSucceeded);
    reply.insert(reply.end(), code.begin(), code.end());
    std::unique_ptr<UdpFlow> flow = UdpFlow::open(session_, sid(), policy_, share_, reply);
    REQUIRE(flow);
    UdpFlow& opened = *flow;
    session_.detach(*this);
    session_.attach(std::move(flow));
    if (!data.empty()) opened.handle_data(data);
  }
  void handle_datagram(MutableBytes) override {}
  void handle_round_end() override {}
  void handle_room() override {}
  void handle_peer_ended() override { session_.detach(*this); }
  void handle_gone() override {}

 private:
  Session& session_;
  const FlowPolicy& policy_;
  FlowShare& share_;
  RequestReader reader_{RequestReader::Accepted::kSocks5};
};

/// Answers each stream with these bytes, and closes it if asked to.
class Answer final : public StreamEnd {
 public:
  Answer(Session& session, std::uint32_t sid, std::string text, bool closes)
      : StreamEnd(sid), session_(session), text_(std::move(text)), closes_(closes) {}
  void handle_data(MutableBytes) override {
    Link& link = session_.link();
    std::size_t done = 0;
    for (const MutableBytes piece : link.prepare_write(sid(), text_.size()))
      for (std::uint8_t& byte : piece) byte = static_cast<std::uint8_t>(text_[done++]);
    link.commit_write(sid(), done);
    text_.clear();
    if (closes_) link.finish(sid());
  }
  void handle_datagram(MutableBytes) override {}
  void handle_round_end() override {}
  void handle_room() override {}
  void handle_peer_ended() override {}
  void handle_gone() override {}

 private:
  Session& session_;
  std::string text_;
  bool closes_;
};

Profile profile_of(Role role, std::uint32_t capabilities) {
  Profile profile = test::plain_profile(role);
  profile.link.smux.capabilities = capabilities;
  profile.quiet = true;
  return profile;
}

/// The session of one engine. The client's has a connected socket; the server's begins with the first packet.
struct End final : PacketReceiver, Session::Owner, FlowEntrance::Sessions {
  End(Role role, std::uint32_t capabilities, const IpEndpoint& server)
      : profile(profile_of(role, capabilities)), engine(test::make_engine(profile)) {
    UdpOptions options;
    options.index = engine->next_socket_index();
    UdpSocket socket =
        role == Role::kClient ? test::must_connect(server, options) : test::must_bind(loopback(), options);
    local = socket.local();
    const Path path{server, local, options.index};
    engine->add_socket(std::move(socket), *this);
    if (role == Role::kClient) begin(7, path);
  }
  ~End() override {
    if (session) session->close_all();
    engine->flush();
    session.reset();
    link.reset();
    engine->flush();
  }
  void begin(std::uint32_t conv, const Path& path) {
    link.emplace(profile.role, SessionName(conv), engine->context(), engine->now());
    session.emplace(*engine, *link, *this, path, profile);
  }
  void handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) override {
    if (!link) begin(load_u32(packets.front().data), path);
    link->handle_packets(now, packets);
    engine->wake(*session);
  }
  void handle_stream(Session& of, std::uint32_t sid) override {
    CHECK(of.link().smux().kind(sid) == StreamKind::kRequest);
    if (answer) {
      of.attach(std::make_unique<Answer>(of, sid, *answer, answer_closes));
    } else {
      of.attach(std::make_unique<Request>(of, sid, rules, share));
    }
  }
  void handle_closed(Session&, std::string_view reason) override { FAIL(reason); }
  Session* session_for_flow() override { return session ? &*session : nullptr; }

  Profile profile;
  Rules rules;
  FlowShare share;
  std::optional<std::string> answer;
  bool answer_closes = false;
  test::OwnedEngine engine;
  IpEndpoint local;
  std::optional<Link> link;
  std::optional<Session> session;
};

struct Rig {
  explicit Rig(std::uint32_t of_client = kBoth, std::uint32_t of_server = kBoth, std::string name = {})
      : server(Role::kServer, of_server, {}), client(Role::kClient, of_client, server.local) {
    Result<FlowSocket> socket = FlowSocket::bind(loopback());
    REQUIRE(socket);
    const Socks5Address target =
        name.empty() ? socks5_endpoint(echo.address()) : *socks5_name(name, echo.address().port);
    entrance = std::make_unique<UdpEntrance>(*client.engine, std::move(*socket), target, client, "tunnel");
    REQUIRE(entrance->start());
    world.add(*server.engine);
    world.add(*client.engine);
    world.add(echo);
    world.add(app);
  }
  ~Rig() {
    client.session->close_all();
    client.engine->flush();
  }
  void send(const std::string& bytes) { app.send(entrance->local(), bytes); }

  test::LogCapture log;
  End server;
  End client;
  UdpApp echo{true};
  UdpApp app;
  std::unique_ptr<UdpEntrance> entrance;
  test::World world;
};

}  // namespace

TEST_CASE("datagrams of every size reach their destination and come back, in packets or over the stream") {
  const bool packets = GENERATE(true, false);
  Rig rig(packets ? kBoth : std::uint32_t{kRequestStreams}, packets ? kBoth : std::uint32_t{kRequestStreams});
  std::vector<std::string> sent;
  for (const std::size_t size : {5u, 0u, 1u, 100u, 1200u, 1472u, 1473u, 9000u, 65507u}) {
    sent.push_back(test::random_bytes(size, size));
    rig.send(sent.back());
    REQUIRE(rig.world.until([&] { return rig.app.heard.size() == sent.size(); }));
    CHECK(rig.app.heard.back() == sent.back());
  }
  std::uint64_t total = 0;
  for (const std::string& bytes : sent) total += bytes.size();
  for (const End* end : {&rig.client, &rig.server}) {
    CHECK(end->session->traffic().sent == total);
    CHECK(end->session->traffic().received == total);
  }
  CHECK(rig.app.from == rig.entrance->local());
  CHECK(rig.entrance->flows() == 1);
  CHECK(rig.server.share.flows == 1);
  if (packets) {
    CHECK(rig.client.link->datagrams()->outgoing.counters().datagrams >= sent.size() - 2);
    CHECK(rig.client.link->datagrams()->incoming.counters().datagrams >= sent.size() - 2);
  } else {
    CHECK(rig.client.link->datagrams() == nullptr);
  }
}

TEST_CASE("bursts of small datagrams arrive in order and whole") {
  Rig rig;
  rig.send("first");
  REQUIRE(rig.world.until([&] { return rig.app.heard.size() == 1; }));
  for (int i = 0; i < 100; ++i) rig.send(test::random_bytes(200, static_cast<std::uint64_t>(i)));
  REQUIRE(rig.world.until([&] { return rig.app.heard.size() == 101; }));
  for (std::size_t i = 0; i < 100; ++i) CHECK(rig.app.heard[i + 1] == test::random_bytes(200, i));
}

TEST_CASE("each source has its own flow and its own answers") {
  Rig rig;
  std::deque<UdpApp> apps(50);
  for (UdpApp& app : apps) rig.world.add(app);
  for (std::size_t i = 0; i < apps.size(); ++i) apps[i].send(rig.entrance->local(), std::to_string(i));
  REQUIRE(rig.world.until([&] {
    return std::all_of(apps.begin(), apps.end(), [](const UdpApp& app) { return app.heard.size() == 1; });
  }));
  for (std::size_t i = 0; i < apps.size(); ++i) CHECK(apps[i].heard[0] == std::to_string(i));
  CHECK(rig.entrance->flows() == 50);
  CHECK(rig.server.session->stream_ends() == 50);
}

TEST_CASE("a name is resolved at the server, once") {
  Rig rig(kBoth, kBoth, "localhost");
  for (const char* text : {"one", "two"}) rig.send(text);
  // localhost may be ::1 first, where nobody listens: the rules choose.
  REQUIRE(rig.world.until([&] { return !rig.server.rules.asked.empty(); }));
  if (rig.server.rules.asked.front().ip == loopback().ip)
    CHECK(rig.world.until([&] { return rig.app.heard.size() == 2; }));
  CHECK(rig.server.rules.asked.size() == 1);
}

TEST_CASE("nothing reaches a destination that the rules do not allow") {
  Rig rig;
  rig.server.rules.allowed = false;
  rig.send("forbidden");
  REQUIRE(rig.world.until([&] { return !rig.server.rules.asked.empty(); }));
  rig.world.run_for(std::chrono::milliseconds(100));
  CHECK(rig.echo.heard.empty());
  CHECK_FALSE(DenyAll().permits(socks5_endpoint(loopback(53)), loopback(53)));
  CHECK_FALSE(DenyAll().may_resolve(*socks5_name("localhost", 53)));
}

TEST_CASE("a destination to which the flow did not send cannot send to it") {
  Rig rig;
  rig.send("opens the flow");
  REQUIRE(rig.world.until([&] { return rig.app.heard.size() == 1; }));
  UdpApp stranger;
  stranger.send(loopback(rig.echo.from.port), "unasked");
  rig.send("again");
  REQUIRE(rig.world.until([&] { return rig.app.heard.size() == 2; }));
  CHECK(rig.app.heard.back() == "again");
}

TEST_CASE("a server without UDP is named once, and its session goes on") {
  const auto [answer, closes, reason] =
      GENERATE(std::tuple(std::string("\5\0\5\7\0\1\0\0\0\0\0\0", 12), false, "the server has no UDP"),
               std::tuple(std::string("\5\0\5\2\0\1\0\0\0\0\0\0", 12), false, "rules do not allow"),
               std::tuple(std::string("HTTP/1.1 400 Bad Request\r\n"), false, "no SOCKS5 server"),
               std::tuple(std::string(), true, "closed the stream"));
  Rig rig(kBoth, 0);
  rig.server.answer = answer;
  rig.server.answer_closes = closes;
  rig.send("anything");
  REQUIRE(rig.world.until([&] { return rig.entrance->counters().refused == 1; }));
  CHECK(rig.entrance->flows() == 0);
  rig.send("in the pause");
  REQUIRE(rig.world.until([&] { return rig.entrance->counters().unserved == 1; }));
  REQUIRE(rig.world.until([&] {
    rig.send("after it");
    return rig.entrance->counters().refused == 2;
  }));
  CHECK(rig.log.count("UDP cannot be forwarded") == 1);
  CHECK(rig.log.count(reason) == 1);
  CHECK(rig.client.link->closed_reason().empty());
}

TEST_CASE("one address has a bounded number of flows") {
  Rig rig;
  rig.server.answer = "";  // the flows wait for a reply
  // A port of a socket that was closed may come again.
  for (std::size_t i = 0; i < 3 * UdpEntrance::kMaxFlowsPerIp && rig.entrance->counters().overflowed == 0;
       ++i) {
    UdpApp one;
    one.send(rig.entrance->local(), "x");
    if (i % 50 == 0) rig.world.step();
  }
  CHECK(rig.entrance->counters().overflowed > 0);
  CHECK(rig.entrance->flows() == UdpEntrance::kMaxFlowsPerIp);
}

TEST_CASE("a flow of DNS ends after ten seconds without a datagram, at both ends") {
  Rig rig;
  const Socks5Address dns = socks5_endpoint(loopback(53));
  Result<FlowSocket> socket = FlowSocket::bind(loopback());
  REQUIRE(socket);
  UdpEntrance entrance(*rig.client.engine, std::move(*socket), dns, rig.client, "dns");
  REQUIRE(entrance.start());
  rig.app.send(entrance.local(), "question");
  REQUIRE(rig.world.until([&] { return rig.server.share.flows == 1; }));
  CHECK(entrance.flows() == 1);
  const auto begin = test::SteadyClock::now();
  REQUIRE(rig.world.until([&] { return rig.server.share.flows == 0 && entrance.flows() == 0; }));
  CHECK(test::SteadyClock::now() - begin > std::chrono::seconds(9));
}

TEST_CASE("a flow ends with its session") {
  Rig rig;
  rig.send("opens the flow");
  REQUIRE(rig.world.until([&] { return rig.app.heard.size() == 1; }));
  rig.client.session->close_all();
  CHECK(rig.entrance->flows() == 0);
}

TEST_CASE("the client's worker gives each flow a session, and dials one at need") {
  test::LogCapture log;
  test::World world;
  UdpApp echo(true);
  UdpApp app;
  End server(Role::kServer, kBoth, {});
  Profile profile = profile_of(Role::kClient, kBoth);
  profile.conn = 1;
  profile.remote = HostPort{"127.0.0.1", server.local.port, server.local.port};
  test::OwnedEngine engine = test::make_engine(profile);
  ClientShared shared;
  auto worker =
      std::make_unique<ClientWorker>(profile, *engine, shared, std::vector{loopback(server.local.port)});
  shared.parts = {worker.get()};
  worker->add_slot(0);
  Result<IpEndpoint> entrance =
      worker->listen_udp(std::move(FlowSocket::bind(loopback()).value()), socks5_endpoint(echo.address()));
  REQUIRE(entrance);
  world.add(*server.engine);
  world.add(*engine);
  world.add(echo);
  world.add(app);
  REQUIRE(world.until([&] {
    app.send(*entrance, "hello");
    return !app.heard.empty();
  }));
  CHECK(app.heard[0] == "hello");
  CHECK(app.from == *entrance);
  worker->shut_down();
  engine->flush();
  worker.reset();
}

TEST_CASE("the server's worker serves flows to the destinations that its rules allow") {
  const std::string rules = GENERATE("udp/127.0.0.1", "tcp/127.0.0.1", "");
  test::LogCapture log;
  test::World world;
  UdpApp echo(true);
  UdpApp app;
  Profile profile = profile_of(Role::kServer, kBoth);
  profile.remote = HostPort{"127.0.0.1", 9, 9};
  if (!rules.empty()) profile.dial_rules.allow = parse_dial_rules(rules).value();
  test::OwnedEngine engine = test::make_engine(profile);
  ServerShared shared;
  auto worker = std::make_unique<ServerWorker>(profile, *engine, shared, std::vector{loopback(9)});
  const std::uint16_t port = test::must_bind().local().port;
  REQUIRE(worker->listen(loopback(port), false));
  End client(Role::kClient, kBoth, loopback(port));
  FlowSocket socket = std::move(FlowSocket::bind(loopback()).value());
  UdpEntrance entrance(*client.engine, std::move(socket), socks5_endpoint(echo.address()), client, "tunnel");
  REQUIRE(entrance.start());
  world.add(*engine);
  world.add(*client.engine);
  world.add(echo);
  world.add(app);
  for (const std::size_t size : {100u, 5000u}) app.send(entrance.local(), test::random_bytes(size, size));
  if (rules == "udp/127.0.0.1") {
    REQUIRE(world.until([&] { return app.heard.size() == 2; }));
    CHECK(app.heard[1] == test::random_bytes(5000, 5000));
    CHECK(log.count("UDP cannot be forwarded") == 0);
  } else {
    REQUIRE(world.until([&] { return entrance.counters().refused > 0; }));
    CHECK(echo.heard.empty());
    CHECK(log.count("rules do not allow") == 1);
  }
  client.session->close_all();
  client.engine->flush();
  worker->shut_down();
  engine->flush();
  worker.reset();
}

TEST_CASE("Sockets for answers are kept, and the one not used for longest makes room") {
  UdpApp app;
  TransparentReplies replies;
  const auto address = [](std::size_t number) {
    IpEndpoint from = loopback();
    from.ip[14] = static_cast<std::uint8_t>(1 + number / 250);
    from.ip[15] = static_cast<std::uint8_t>(1 + number % 250);
    from.port = 7777;
    return from;
  };
  const std::uint8_t byte = 'x';
  if (!replies.send(address(0), app.address(), {&byte, 1}) && errno == EPERM) return;  // not as root
  for (std::size_t i = 0; i <= TransparentReplies::kMaxSockets; ++i) {
    CHECK(replies.send(address(i), app.address(), {&byte, 1}));
    app.step();
    CHECK(app.from == address(i));
    CHECK(replies.sockets() == std::min(i + 1, TransparentReplies::kMaxSockets));
  }
}

}  // namespace kcptun::flows_test
