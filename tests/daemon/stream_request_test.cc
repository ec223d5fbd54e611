// Streams that name their target: an engine with the server's worker against a link in memory, and targets on
// real loopback sockets.
#include "daemon/engine/stream_request.h"

#include <errno.h>

#include "daemon/server/server_worker.h"
#include "tests/daemon/daemon_harness.h"

namespace kcptun::stream_request_test {
namespace {

using test::App;
using test::AppServer;
using test::loopback;
using test::Peer;

const std::string kGreeting("\5\1\0", 3);
const std::string kGranted("\5\0", 2);

std::string reply(char code) { return std::string{'\5', code} + std::string("\0\1\0\0\0\0\0\0", 8); }
std::string port_text(std::uint16_t port) {
  return {static_cast<char>(port >> 8), static_cast<char>(port & 0xff)};
}
std::string to_name(const std::string& name, std::uint16_t port, char command = 1) {
  return std::string{'\5', command, '\0', '\3', static_cast<char>(name.size())} + name + port_text(port);
}
std::string to_loopback(std::uint16_t port) { return std::string("\5\1\0\1\x7f\0\0\1", 8) + port_text(port); }

Profile request_profile(const std::string& allow, const std::string& deny = {}) {
  Profile profile = test::plain_profile(Role::kServer);
  profile.target_is_request = true;
  profile.dial_rules = {parse_dial_rules(allow).value(), parse_dial_rules(deny).value()};
  return profile;
}

struct Rig {
  explicit Rig(Profile with) : profile(std::move(with)) {
    const std::uint16_t port = test::must_bind().local().port;
    if (!profile.target_is_request) profile.remote = HostPort{"127.0.0.1", target.port(), target.port()};
    owned = test::make_engine(profile);
    part = std::make_unique<ServerWorker>(profile, *owned, shared, std::vector{loopback(target.port())});
    REQUIRE(part->listen(loopback(port), false).ok());
    peer = std::make_unique<Peer>(Role::kClient, profile.link, test::must_connect(loopback(port)));
    world.add(*owned);
    world.add(*peer);
    world.add(target);
  }
  ~Rig() { part.reset(); }

  std::uint32_t open(const std::string& bytes) {
    const std::uint32_t sid = peer->open_stream();
    peer->stream(sid).to_send = bytes;
    return sid;
  }
  /// What comes back on a stream until the server has closed it.
  std::string answer_to(const std::string& bytes) {
    const std::uint32_t sid = open(bytes);
    CHECK(world.until([&] { return peer->stream(sid).finished || peer->stream(sid).broken; }));
    peer->stream(sid).ends = true;
    return peer->stream(sid).received;
  }
  bool all_closed() {
    return world.until([&] { return part->streams() == 0 && owned->backlog_pool().in_use() == 0; });
  }
  App& app(std::size_t index = 0) { return *target.apps.at(index); }

  test::LogCapture log;
  Profile profile;
  AppServer target;
  test::OwnedEngine owned;
  ServerShared shared;
  std::unique_ptr<ServerWorker> part;
  std::unique_ptr<Peer> peer;
  test::World world;
};

}  // namespace

TEST_CASE("a request with its payload behind it reaches the target that it names") {
  Rig rig(request_profile("127.0.0.1"));
  const std::uint32_t sid = rig.open(kGreeting + to_loopback(rig.target.port()) + "hello");
  REQUIRE(rig.world.until([&] { return rig.target.apps.size() == 1 && rig.app().received == "hello"; }));
  const std::string answer = test::random_bytes(300'000, 1);
  rig.app().send(answer);
  rig.app().end_sending();
  REQUIRE(rig.world.until([&] { return rig.peer->stream(sid).finished; }));
  CHECK(rig.peer->stream(sid).received == kGranted + reply(0) + answer);
  rig.peer->stream(sid).ends = true;
  CHECK(rig.all_closed());
  CHECK(rig.part->share().requests == 1);
  CHECK(rig.part->share().denied_requests == 0);
}

TEST_CASE("a client that waits for each reply gets it before it sends more") {
  Rig rig(request_profile("localhost"));
  const std::uint32_t sid = rig.open(kGreeting);
  Peer::Stream& stream = rig.peer->stream(sid);
  REQUIRE(rig.world.until([&] { return stream.received == kGranted; }));
  stream.to_send = to_name("LocalHost.", rig.target.port());
  REQUIRE(rig.world.until([&] { return stream.received == kGranted + reply(0); }));
  stream.to_send = "GET";
  REQUIRE(rig.world.until([&] { return rig.app().received == "GET"; }));
}

TEST_CASE("HTTP CONNECT is answered in its own form") {
  Rig rig(request_profile("127.0.0.1"));
  const std::string authority = "127.0.0.1:" + std::to_string(rig.target.port());
  const std::uint32_t sid = rig.open("CONNECT " + authority + " HTTP/1.1\r\nHost: x\r\n\r\nhello");
  REQUIRE(rig.world.until([&] { return rig.target.apps.size() == 1 && rig.app().received == "hello"; }));
  CHECK(rig.world.until(
      [&] { return rig.peer->stream(sid).received == "HTTP/1.1 200 Connection established\r\n\r\n"; }));
  CHECK(rig.answer_to("CONNECT 10.0.0.1:1 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 403 "));
  CHECK(rig.answer_to("CONNECT 127.0.0.1:" + std::to_string(test::closed_port()) + " HTTP/1.1\r\n\r\n")
            .starts_with("HTTP/1.1 502 "));
  CHECK(rig.answer_to("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
}

TEST_CASE("a request that fails is answered with its reason, and its payload goes nowhere") {
  Rig rig(request_profile("127.0.0.1,*.invalid,10.0.0.0/8:81"));
  const std::string refused = kGreeting + to_loopback(test::closed_port()) + "payload";
  CHECK(rig.answer_to(refused) == kGranted + reply(5));
  CHECK(rig.answer_to(kGreeting + to_name("nobody.invalid", 80)) == kGranted + reply(4));
  CHECK(rig.answer_to(kGreeting + to_name("a", 80, 3)) == kGranted + reply(7));
  CHECK(rig.answer_to(kGreeting + std::string("\5\1\0\2", 4)) == kGranted + reply(8));
  CHECK(rig.all_closed());
  CHECK(rig.target.apps.empty());
  CHECK(rig.part->share().denied_requests == 0);
}

TEST_CASE("a denied request is answered, counted and logged with its target") {
  Rig rig(request_profile("public,127.0.0.1:1", "*.denied.example"));
  const std::uint16_t port = rig.target.port();
  for (const std::string& request :
       {to_loopback(port), to_name("localhost", port), to_name("127.0.0.1", port),
        to_name("127.0.0.1.", port), to_name("2130706433", port), to_name("0x7f000001", port),
        to_name("a.denied.example", port)})
    CHECK(rig.answer_to(kGreeting + request + "payload") == kGranted + reply(2));
  CHECK(rig.all_closed());
  CHECK(rig.target.apps.empty());
  CHECK(rig.part->share().denied_requests == 7);
  CHECK(rig.log.count("request denied") == 7);
  CHECK(rig.log.count("target=localhost:" + std::to_string(port)) == 1);
}

TEST_CASE("what is no request is reset, and so is one that ends early") {
  Rig rig(request_profile("*"));
  const std::uint32_t garbage = rig.open("\1\2\3");
  CHECK(rig.world.until([&] { return rig.peer->stream(garbage).broken; }));
  CHECK(rig.peer->stream(garbage).received.empty());
  const std::uint32_t early = rig.open(kGreeting);
  rig.peer->stream(early).ends = true;
  CHECK(rig.world.until([&] { return rig.peer->stream(early).broken; }));
  CHECK(rig.all_closed());
  CHECK(rig.part->share().requests == 0);
}

TEST_CASE(
    "a stream that its client marks as a request names its target, beside streams to the fixed target") {
  Profile profile = test::plain_profile(Role::kServer);
  profile.link.smux.capabilities = kRequestStreams;
  AppServer named;
  profile.dial_rules.allow = parse_dial_rules("127.0.0.1:" + std::to_string(named.port())).value();
  profile.target_header = TargetHeader::kProxyV1;
  Rig rig(profile);
  rig.world.add(named);
  const std::uint32_t plain = rig.open("plain");
  const std::uint32_t request = rig.peer->only().link.open_stream(StreamKind::kRequest).value();
  rig.peer->stream(request).to_send = kGreeting + to_loopback(named.port()) + "hello";
  REQUIRE(rig.world.until([&] { return named.apps.size() == 1 && named.apps[0]->received == "hello"; }));
  CHECK(rig.world.until([&] { return rig.peer->stream(request).received == kGranted + reply(0); }));
  CHECK(rig.world.until(
      [&] { return rig.target.apps.size() == 1 && rig.app().received.ends_with("\nplain"); }));
  CHECK(rig.peer->stream(plain).received.empty());

  const std::uint32_t http = rig.peer->only().link.open_stream(StreamKind::kRequest).value();
  rig.peer->stream(http).to_send = "CONNECT a:1 HTTP/1.1\r\n\r\n";  // only without the mark
  CHECK(rig.world.until([&] { return rig.peer->stream(http).broken; }));
}

TEST_CASE("changed rules hold for the next request") {
  Rig rig(request_profile("127.0.0.1"));
  CHECK(rig.answer_to(kGreeting + to_loopback(test::closed_port())) == kGranted + reply(5));
  rig.profile.dial_rules = {parse_dial_rules("public").value(), {}};
  CHECK(rig.answer_to(kGreeting + to_loopback(rig.target.port())) == kGranted + reply(2));
}

TEST_CASE("a closing tunnel ends requests that wait for their bytes or their target") {
  test::UnresponsiveAddress silent;
  Rig rig(request_profile("127.0.0.1"));
  rig.open(kGreeting);
  rig.open(kGreeting + to_loopback(silent.address().port) + "payload");
  REQUIRE(rig.world.until([&] { return rig.part->streams() == 2; }));
  rig.part->shut_down();
  CHECK(rig.all_closed());
}

TEST_CASE("a target with --proxy-protocol gets the tunnel client's address first") {
  Profile profile = test::plain_profile(Role::kServer);
  profile.target_header = TargetHeader::kProxyV1;
  Rig rig(profile);
  const std::uint32_t sid = rig.open("hello");
  const Path& path = rig.peer->only().path;
  const std::string header = "PROXY TCP4 127.0.0.1 127.0.0.1 " + std::to_string(path.local.port) + ' ' +
                             std::to_string(path.remote.port) + "\r\n";
  REQUIRE(rig.world.until(
      [&] { return rig.target.apps.size() == 1 && rig.app().received.size() >= header.size() + 5; }));
  CHECK(rig.app().received == header + "hello");
  rig.app().send("back");
  CHECK(rig.world.until([&] { return rig.peer->stream(sid).received == "back"; }));
}

TEST_CASE("beyond 128 lookups at once a request with a name fails, and one with an address does not") {
  const Profile profile = request_profile("*.invalid,127.0.0.1");
  const test::OwnedEngine engine = test::make_engine(profile);
  test::World world;
  world.add(*engine);
  RequestTotals totals;
  RequestTargets targets(*engine, profile.dial_rules, totals);
  const auto reply_with = [&](std::size_t lookups, const std::string& request) {
    totals.lookups = lookups;
    std::optional<StreamRequest::Outcome> outcome;
    StreamRequest asked(targets, RequestReader::Accepted::kSocks5,
                        [&](StreamRequest::Outcome made) { outcome = std::move(made); });
    const std::string bytes = kGreeting + request;
    asked.handle_input({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    REQUIRE(world.until([&] { return outcome.has_value(); }));
    CHECK(totals.lookups == lookups);
    return outcome->reply.at(1);
  };
  constexpr std::size_t kFull = RequestTotals::kMaxLookups;
  CHECK(reply_with(kFull, to_name("nobody.invalid", 80)) == 1);
  CHECK(reply_with(kFull - 1, to_name("nobody.invalid", 80)) == 4);
  CHECK(reply_with(kFull, to_loopback(test::closed_port())) == 5);
}

TEST_CASE("reply codes name the reason of a failed connection") {
  CHECK(reply_code_of(ECONNREFUSED) == ReplyCode::kConnectionRefused);
  CHECK(reply_code_of(EHOSTUNREACH) == ReplyCode::kHostUnreachable);
  CHECK(reply_code_of(ENETUNREACH) == ReplyCode::kNetworkUnreachable);
  CHECK(reply_code_of(ETIMEDOUT) == ReplyCode::kTimedOut);
  CHECK(reply_code_of(EACCES) == ReplyCode::kNotAllowed);
  CHECK(reply_code_of(ECONNRESET) == ReplyCode::kGeneralFailure);
  CHECK(reply_code_of(0) == ReplyCode::kGeneralFailure);
}

}  // namespace kcptun::stream_request_test
