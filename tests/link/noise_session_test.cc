// The course of a session under the suite noise (docs/develop/protocol.md section 15): every packet of the
// handshake lost, repeated, reordered, late and changed, and the keys that open what.
#include "core/link/noise_session.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "core/crypt/noise_gcm.h"
#include "core/crypt/noise_suite.h"
#include "core/kcp/segment.h"
#include "core/link/hello_gate.h"
#include "tests/support/noise_ends.h"

namespace kcptun::test::noise_session_test {
namespace {

using Buffer = std::vector<std::uint8_t>;
using noise::Kind;
using noise::Pattern;

constexpr std::uint64_t kSession = 0x0102030405060708;
constexpr UnixTime kWall{seconds(1700000000)};
constexpr TimePoint kStart{seconds(10000)};

// A body that names a conv, as the packet that opens a session must.
Buffer body_of(std::uint8_t fill) {
  Buffer body(kSegmentHeader + 10, fill);
  Segment segment;
  segment.conv = 7;
  write_segment_header(body.data(), segment, 10);
  return body;
}

struct End {
  End(Role role, std::unique_ptr<NoiseSession> of, TimePoint now)
      : session(std::move(of)), anti_replay(role, kSession, now, kWall) {}

  /// A packet as it is before the mask.
  Buffer send(TimePoint now, std::uint8_t fill = 1) {
    const Buffer body = body_of(fill);
    Buffer packet(session->header_size() + body.size() + noise::kTagSize);
    std::ranges::copy(body, packet.begin() + static_cast<std::ptrdiff_t>(session->header_size()));
    const Packet view{packet.data(), static_cast<std::uint32_t>(packet.size())};
    session->stamp(anti_replay.next(now), now, view);
    session->seal(now, {&view, 1});
    return packet;
  }
  /// The body; empty if the packet was not taken.
  Buffer take(TimePoint now, Buffer packet) {
    const MutableBytes body =
        session->take(now, {packet.data(), static_cast<std::uint32_t>(packet.size())}, anti_replay);
    return Buffer(body.begin(), body.end());
  }
  bool takes(TimePoint now, const Buffer& packet, std::uint8_t fill = 1) {
    const Buffer body = take(now, packet);
    return !body.empty() && body == body_of(fill);
  }

  std::unique_ptr<NoiseSession> session;
  AntiReplay anti_replay;
};

Kind kind_of(const Buffer& packet) { return noise::read_head(packet.data())->kind; }

struct WithAes {
  bool client = false;
  bool server = false;
};
// Both ends or none; see "the ends choose AES-256-GCM" for the others.
WithAes any_ciphers() {
  const bool both = GENERATE(false, true);
  return {both, both};
}

NoiseCredentials credentials_with(Pattern pattern, WithAes aes) {
  NoiseCredentials out = noise_credentials(pattern);
  if (aes.client) out.client.aes_gcm = make_noise_gcm;
  if (aes.server) out.server.aes_gcm = make_noise_gcm;
  return out;
}

struct Course {
  explicit Course(Pattern pattern, WithAes aes = any_ciphers())
      : credentials(credentials_with(pattern, aes)),
        gate(credentials.server, secrets, nullptr),
        client(Role::kClient, std::make_unique<NoiseSession>(credentials.client, secrets, kSession), now) {}

  std::unique_ptr<End> opened_by(Buffer hello) {
    const auto first = gate.read({hello.data(), static_cast<std::uint32_t>(hello.size())});
    if (!first) return nullptr;
    const auto authentic = gate.authenticate(now, *first);
    if (!authentic) return nullptr;
    CHECK(authentic->conv == 7);
    return std::make_unique<End>(Role::kServer, gate.open(now, *authentic), now);
  }
  /// The server opens the session with this hello and takes it.
  void open(const Buffer& hello) {
    server = opened_by(hello);
    REQUIRE(server);
    REQUIRE(server->takes(now, hello));
  }
  /// Both ends send data packets.
  void establish() {
    open(client.send(now));
    REQUIRE(client.takes(now, server->send(now)));
    REQUIRE(server->takes(now, client.send(now)));
  }

  NoiseCredentials credentials;
  SeededSecrets secrets{99};
  HelloGate gate;
  TimePoint now = kStart;
  End client;
  std::unique_ptr<End> server;
};

Pattern any_pattern() { return GENERATE(Pattern::kNNpsk0, Pattern::kIKpsk2); }

}  // namespace

// --- the handshake ---

TEST_CASE("noise: data flows from the first packet on, and both ends change to data packets") {
  const Pattern pattern = any_pattern();
  Course c(pattern);
  CHECK(c.client.session->handshake_part() == (pattern == Pattern::kNNpsk0 ? 84u : 132u));
  const Buffer hello = c.client.send(c.now, 3);
  CHECK(kind_of(hello) == Kind::kHello);
  c.server = c.opened_by(hello);
  REQUIRE(c.server);
  CHECK(c.server->takes(c.now, hello, 3));
  CHECK(c.server->anti_replay.newest_time() == 1700000000);

  CHECK_FALSE(c.server->session->established());
  const Buffer answer = c.server->send(c.now, 4);
  CHECK(kind_of(answer) == Kind::kAnswer);
  CHECK_FALSE(c.client.session->established());
  CHECK(c.client.takes(c.now, answer, 4));
  CHECK(c.client.session->established());

  const Buffer data = c.client.send(c.now, 5);
  CHECK(kind_of(data) == Kind::kData);
  CHECK(c.client.session->header_size() == noise::kHeadSize);
  CHECK(c.server->takes(c.now, data, 5));
  CHECK(c.server->session->established());
  const Buffer back = c.server->send(c.now, 6);
  CHECK(kind_of(back) == Kind::kData);
  CHECK(c.client.takes(c.now, back, 6));
}

TEST_CASE("noise: any hello opens the session, whichever were lost, and the others are taken once") {
  Course c(any_pattern());
  std::vector<Buffer> hellos;
  for (std::uint8_t i = 0; i < 5; ++i) hellos.push_back(c.client.send(c.now, i));
  c.server = c.opened_by(hellos[3]);
  REQUIRE(c.server);
  for (const auto i : std::to_array<std::uint8_t>({3, 0, 4, 1})) {
    CHECK(c.server->takes(c.now, hellos[i], i));
    CHECK(c.server->take(c.now, hellos[i]).empty());
  }
  CHECK(c.server->anti_replay.counters().replayed == 4);
}

TEST_CASE("noise: any answer completes the handshake, whichever were lost, and the others are taken once") {
  Course c(any_pattern());
  c.open(c.client.send(c.now));
  std::vector<Buffer> answers;
  for (std::uint8_t i = 0; i < 5; ++i) answers.push_back(c.server->send(c.now, i));
  for (const auto i : std::to_array<std::uint8_t>({2, 4, 0, 1})) {
    CHECK(c.client.takes(c.now, answers[i], i));
    CHECK(c.client.take(c.now, answers[i]).empty());
  }
}

TEST_CASE("noise: a late hello is taken for 10 s after the first data packet, then ignored") {
  Course c(any_pattern());
  const Buffer late = c.client.send(c.now, 8), later = c.client.send(c.now, 9);
  c.establish();
  const TimePoint forgotten = c.now + NoiseSession::kKeepFlightKey;
  CHECK(c.server->session->next_timeout() == forgotten);
  c.server->session->handle_timeout(forgotten - microseconds(1));
  CHECK(c.server->takes(forgotten - microseconds(1), late, 8));
  c.server->session->handle_timeout(forgotten);
  CHECK_FALSE(c.server->session->next_timeout());
  CHECK(c.server->take(forgotten, later).empty());
  CHECK(c.server->session->counters().unexpected == 1);
}

TEST_CASE("noise: a late answer is a packet like any other") {
  Course c(any_pattern());
  c.open(c.client.send(c.now));
  const Buffer late = c.server->send(c.now, 8);
  CHECK(c.client.takes(c.now, c.server->send(c.now)));
  CHECK(c.server->takes(c.now, c.client.send(c.now)));
  CHECK(c.client.takes(c.now, c.server->send(c.now)));
  CHECK(c.client.takes(c.now + seconds(60), late, 8));
}

TEST_CASE("noise: both ends send data at once, and their packets cross") {
  Course c(any_pattern());
  c.open(c.client.send(c.now));
  for (std::uint8_t round = 0; round < 10; ++round) {
    const Buffer from_client = c.client.send(c.now, round);
    const Buffer from_server = c.server->send(c.now, round);
    CHECK(c.server->takes(c.now, from_client, round));
    CHECK(c.client.takes(c.now, from_server, round));
  }
  CHECK(c.client.session->established());
  CHECK(c.server->session->established());
}

TEST_CASE("noise: data packets that overtake hellos open at once") {
  Course c(any_pattern());
  const Buffer overtaken = c.client.send(c.now, 8);
  c.open(c.client.send(c.now));
  CHECK(c.client.takes(c.now, c.server->send(c.now)));
  CHECK(c.server->takes(c.now, c.client.send(c.now, 5), 5));
  CHECK(c.server->takes(c.now, overtaken, 8));
  CHECK(kind_of(c.server->send(c.now)) == Kind::kData);
}

TEST_CASE("noise: the handshake lasts as long as packets are lost") {
  Course c(any_pattern());
  for (int i = 0; i < 100; ++i) (void)c.client.send(c.now);
  c.open(c.client.send(c.now));
  for (int i = 0; i < 100; ++i) (void)c.server->send(c.now += seconds(3));  // beyond a renewal
  CHECK(c.client.takes(c.now, c.server->send(c.now, 4), 4));
  CHECK(c.server->takes(c.now, c.client.send(c.now, 5), 5));
}

// --- what fails changes nothing ---

TEST_CASE("noise: a hello that is changed in any byte opens nothing, and a right one still does") {
  Course c(any_pattern());
  const Buffer hello = c.client.send(c.now);
  for (std::size_t i = 0; i < hello.size(); ++i) {
    Buffer changed = hello;
    changed[i] ^= 1;
    CHECK_FALSE(c.opened_by(changed));
  }
  c.open(hello);
}

TEST_CASE("noise: packets of an open session that are changed in any byte change nothing") {
  Course c(any_pattern());
  const Buffer hello = c.client.send(c.now);
  c.open(c.client.send(c.now));
  const Buffer answer = c.server->send(c.now, 4);
  const auto all_refused = [&](End& end, const Buffer& packet) {
    for (std::size_t i = 0; i < packet.size(); ++i) {
      Buffer changed = packet;
      changed[i] ^= 1;
      if (!noise::read_head(changed.data())) continue;
      // A changed kind may promise more than the packet has; the suite drops those.
      if (kind_of(changed) != kind_of(packet)) continue;
      CHECK(end.take(c.now, changed).empty());
    }
    Buffer other_cipher = packet;
    other_cipher[noise::kHeadSize - 1] ^= 0x80;
    CHECK(end.take(c.now, other_cipher).empty());
  };
  all_refused(*c.server, hello);
  CHECK(c.server->takes(c.now, hello));
  all_refused(c.client, answer);
  CHECK_FALSE(c.client.session->established());
  CHECK(c.client.takes(c.now, answer, 4));
  const Buffer data = c.client.send(c.now, 5);
  all_refused(*c.server, data);
  CHECK_FALSE(c.server->session->established());
  CHECK(c.server->takes(c.now, data, 5));
}

TEST_CASE("noise: packets that are sent back to their sender change nothing") {
  Course c(any_pattern());
  const Buffer hello = c.client.send(c.now);
  CHECK(c.client.take(c.now, hello).empty());
  c.open(hello);
  const Buffer answer = c.server->send(c.now);
  CHECK(c.server->take(c.now, answer).empty());
  CHECK(c.client.takes(c.now, answer));
  const Buffer data = c.client.send(c.now);
  CHECK(c.client.take(c.now, data).empty());
  CHECK(c.server->takes(c.now, data));
  const Buffer back = c.server->send(c.now);
  CHECK(c.server->take(c.now, back).empty());
  CHECK(c.client.takes(c.now, back));
}

TEST_CASE("noise: a hello with another handshake message is none of the open session") {
  Course c(any_pattern());
  c.open(c.client.send(c.now));
  End other(Role::kClient, std::make_unique<NoiseSession>(c.credentials.client, c.secrets, kSession), c.now);
  for (int i = 0; i < 3; ++i) (void)other.send(c.now);
  CHECK(c.server->take(c.now, other.send(c.now)).empty());
  CHECK(c.server->session->counters().unexpected == 1);
}

TEST_CASE("noise: an answer to another handshake completes nothing") {
  Course c(any_pattern());
  Course other(Pattern::kNNpsk0);
  End twin(Role::kClient, std::make_unique<NoiseSession>(c.credentials.client, c.secrets, kSession), c.now);
  c.open(twin.send(c.now));
  CHECK(c.client.take(c.now, c.server->send(c.now)).empty());
  CHECK_FALSE(c.client.session->established());
  CHECK(c.client.session->counters().forged == 1);
}

TEST_CASE("noise: another key, or another server's public key, opens nothing") {
  const Pattern pattern = any_pattern();
  Course c(pattern);
  const NoiseCredentials others = noise_credentials(pattern, 2);
  HelloGate gate(others.server, c.secrets, nullptr);
  Buffer hello = c.client.send(c.now);
  CHECK_FALSE(gate.read({hello.data(), static_cast<std::uint32_t>(hello.size())}));
}

TEST_CASE("noise: a hello that another holder of the key stamps anew opens nothing") {
  Course c(any_pattern());
  Buffer hello = c.client.send(c.now);
  const std::size_t part_size = c.client.session->handshake_part();
  const MutableBytes part = MutableBytes(hello).subspan(noise::kHeadSize, part_size);
  noise::Hello stamped = *noise::read_hello(part, kSession, c.credentials.client.shared.mac);
  Buffer message(stamped.message.begin(), stamped.message.end());
  stamped.message = message;
  stamped.time += 100;
  noise::write_hello(part, kSession, stamped, c.credentials.client.shared.mac, nullptr);
  REQUIRE(noise::read_hello(part, kSession, c.credentials.client.shared.mac));
  CHECK_FALSE(c.opened_by(hello));
  CHECK(c.gate.counters().forged == 1);
}

// --- ciphers ---

TEST_CASE("noise: the ends choose AES-256-GCM if both have it, and agree in any case") {
  const auto aes =
      GENERATE(WithAes{false, false}, WithAes{true, false}, WithAes{false, true}, WithAes{true, true});
  Course c(any_pattern(), aes);
  const Buffer hello = c.client.send(c.now);
  CHECK(noise::read_head(hello.data())->aes == aes.client);
  c.open(hello);
  const Buffer answer = c.server->send(c.now, 2);
  CHECK(c.client.takes(c.now, answer, 2));
  const Buffer data = c.client.send(c.now, 3);
  CHECK(c.server->takes(c.now, data, 3));
  const bool both = aes.client && aes.server;
  for (const Buffer& packet : {answer, data, c.server->send(c.now)})
    CHECK(noise::read_head(packet.data())->aes == both);
  CHECK(c.client.session->uses_aes() == both);
  CHECK(c.server->session->uses_aes() == both);
  c.client.session->trim();
  c.server->session->trim();
  CHECK(c.server->takes(c.now, c.client.send(c.now, 4), 4));
  CHECK(c.client.takes(c.now, c.server->send(c.now, 5), 5));
}

TEST_CASE("noise: an answer in a cipher that the client has not offered completes nothing") {
  Course c(any_pattern(), {false, true});
  const Buffer hello = c.client.send(c.now);
  c.open(hello);
  Buffer answer = c.server->send(c.now);
  answer[noise::kHeadSize - 1] ^= 0x80;
  CHECK(c.client.take(c.now, answer).empty());
  CHECK_FALSE(c.client.session->established());
}

// --- keys ---

TEST_CASE("noise: keys are renewed in both directions without a pause") {
  Course c(any_pattern());
  c.establish();
  Buffer before;
  for (int minute = 0; minute < 300; ++minute) {
    c.now += seconds(60);
    CHECK(c.server->takes(c.now, c.client.send(c.now, 2), 2));
    CHECK(c.client.takes(c.now, c.server->send(c.now, 3), 3));
    c.server->session->handle_timeout(c.now);
    c.client.session->handle_timeout(c.now);
  }
  const Buffer last = c.client.send(c.now);
  CHECK(noise::read_head(last.data())->epoch == 150);
}

TEST_CASE("noise: who learns every configured key opens the first flight of a recording, and no more") {
  const Pattern pattern = any_pattern();
  Course c(pattern);
  const Buffer hello = c.client.send(c.now);
  c.open(hello);
  const Buffer answer = c.server->send(c.now);
  CHECK(c.client.takes(c.now, answer));
  const Buffer data = c.client.send(c.now);

  const auto open_with = [](const noise::CipherState& chain, Buffer packet, std::size_t front) {
    const noise::Head head = *noise::read_head(packet.data());
    noise::EpochKey key(chain, head.aes && head.kind != Kind::kHello ? make_noise_gcm : nullptr);
    return key.open(head.counter, Bytes(packet).first(front), MutableBytes(packet).subspan(front));
  };
  const std::size_t hello_front = noise::kHeadSize + noise::handshake_part_size(Kind::kHello, pattern);
  const std::size_t answer_front = noise::kHeadSize + noise::handshake_part_size(Kind::kAnswer, pattern);
  const Bytes message1 = Bytes(hello).subspan(noise::kHeadSize + noise::kHelloTimeSize,
                                              hello_front - noise::kHeadSize - noise::kHelloTimeSize - 32);
  auto response = noise::Response::begin(c.credentials.server, kSession, message1);
  REQUIRE(response);
  CHECK(open_with(response->flight_key(), hello, hello_front));
  CHECK_FALSE(open_with(response->flight_key(), answer, answer_front));
  CHECK_FALSE(open_with(response->flight_key(), data, noise::kHeadSize));
  // Whatever ephemeral key the thief answers with, it is not the server's.
  const auto keys = response->answer(c.secrets.key())->keys;
  for (const noise::SecretKey& key : {keys.initiator, keys.responder}) {
    CHECK_FALSE(open_with(noise::CipherState(key), answer, answer_front));
    CHECK_FALSE(open_with(noise::CipherState(key), data, noise::kHeadSize));
  }
}

// --- cookies ---

TEST_CASE("noise: a client puts the cookie that answers its hello into further hellos, for 120 s") {
  Course c(any_pattern());
  const IpEndpoint address{.port = 5};
  const auto demand = [&](Buffer hello, const IpEndpoint& from) {
    return c.gate.demand_cookie(c.now, from,
                                *c.gate.read({hello.data(), static_cast<std::uint32_t>(hello.size())}));
  };
  CHECK_FALSE(demand(c.client.send(c.now), address));
  for (std::uint32_t i = 0; i < HelloGate::kMaxMessages; ++i) (void)c.opened_by(c.client.send(c.now));
  const auto reply = demand(c.client.send(c.now), address);
  REQUIRE(reply);
  CHECK(c.client.take(c.now, Buffer(reply->begin(), reply->end())).empty());
  CHECK_FALSE(demand(c.client.send(c.now), address));
  CHECK(demand(c.client.send(c.now), IpEndpoint{.port = 6}));
  CHECK(demand(c.client.send(c.now + noise::kCookieLife), address));
  CHECK(c.gate.counters().cookies == 3);

  c.now += HelloGate::kInterval;  // the load is over
  CHECK_FALSE(demand(c.client.send(c.now), IpEndpoint{.port = 6}));
}

TEST_CASE("noise: cookies of the secret before are accepted, older ones are not") {
  Course c(Pattern::kNNpsk0);
  End other(Role::kClient, std::make_unique<NoiseSession>(c.credentials.client, c.secrets, kSession), c.now);
  const auto load = [&] {
    for (std::uint32_t i = 0; i < HelloGate::kMaxMessages; ++i) (void)c.opened_by(other.send(c.now));
  };
  const auto demand = [&] {
    Buffer hello = c.client.send(kStart);  // a client that would use its cookie for ever
    return c.gate.demand_cookie(c.now, IpEndpoint{},
                                *c.gate.read({hello.data(), static_cast<std::uint32_t>(hello.size())}));
  };
  load();
  const auto reply = demand();
  (void)c.client.take(kStart, Buffer(reply->begin(), reply->end()));
  c.now += noise::kCookieLife;
  load();
  CHECK_FALSE(demand());
  c.now += noise::kCookieLife;
  load();
  CHECK(demand());
}

TEST_CASE("noise: a cookie for another hello, or for none, is not taken") {
  Course c(any_pattern());
  const auto& key = c.credentials.client.shared.cookie;
  const auto cookie = noise::seal_cookie(key, {kSession, Buffer(48, 1)}, {}, {});
  CHECK(c.client.take(c.now, Buffer(cookie.begin(), cookie.end())).empty());
  CHECK(c.client.session->counters().forged == 1);
  c.establish();
  CHECK(c.client.take(c.now, Buffer(cookie.begin(), cookie.end())).empty());
  CHECK(c.client.session->counters().unexpected == 1);
}

// --- a server that has forgotten the session ---

TEST_CASE("noise: a server that has the session ignores a probe") {
  Course c(any_pattern());
  c.establish();
  c.client.session->begin_probe();
  CHECK(c.client.session->handshake_part() > 0);
  const Buffer probe = c.client.send(c.now);
  CHECK(kind_of(probe) == Kind::kHello);
  CHECK(c.client.session->handshake_part() == 0);
  CHECK(c.server->take(c.now, probe).empty());
  CHECK(kind_of(c.client.send(c.now)) == Kind::kData);
}

TEST_CASE("noise: a server that has forgotten the session answers a probe, which ends the session") {
  Course c(any_pattern());
  c.establish();
  for (int i = 0; i < 20; ++i) CHECK(c.client.takes(c.now, c.server->send(c.now)));
  c.client.session->begin_probe();
  const Buffer probe = c.client.send(c.now);
  auto restarted = c.opened_by(probe);
  REQUIRE(restarted);
  CHECK(restarted->takes(c.now, probe));
  const Buffer answer = restarted->send(c.now);
  Buffer changed = answer;
  changed.back() ^= 1;
  CHECK(c.client.take(c.now, changed).empty());
  CHECK_FALSE(c.client.session->forgotten());
  CHECK(c.client.take(c.now, answer).empty());
  CHECK(c.client.session->forgotten());
}

TEST_CASE("noise: an old recorded answer does not answer a probe, and a live server ends the suspicion") {
  Course c(any_pattern());
  c.open(c.client.send(c.now));
  const Buffer recorded = c.server->send(c.now);
  CHECK(c.client.takes(c.now, recorded));
  CHECK(c.server->takes(c.now, c.client.send(c.now)));
  c.client.session->begin_probe();
  const Buffer probe = c.client.send(c.now);
  CHECK(c.client.take(c.now, recorded).empty());
  CHECK_FALSE(c.client.session->forgotten());
  auto restarted = c.opened_by(probe);
  REQUIRE(restarted);
  CHECK(c.client.takes(c.now, c.server->send(c.now)));  // alive after all
  CHECK(c.client.take(c.now, restarted->send(c.now)).empty());
  CHECK_FALSE(c.client.session->forgotten());
}

// --- the wire ---

TEST_CASE("noise: the mask hides and shows each kind, and packets too short for their kind are dropped") {
  Course c(any_pattern());
  NoiseSuite suite(c.credentials.client);
  c.open(c.client.send(c.now));
  std::vector<Buffer> packets{c.client.send(c.now), c.server->send(c.now)};
  CHECK(c.client.takes(c.now, c.server->send(c.now)));
  packets.push_back(c.client.send(c.now));
  for (const Buffer& clear : packets) {
    Buffer masked = clear;
    Packet packet{masked.data(), static_cast<std::uint32_t>(masked.size())};
    suite.seal({&packet, 1});
    CHECK_FALSE(std::equal(masked.begin(), masked.begin() + 16, clear.begin()));
    for (std::size_t cut = 0; cut < masked.size(); ++cut) {
      Buffer shorter(masked.begin(), masked.begin() + static_cast<std::ptrdiff_t>(cut));
      Packet part{shorter.data(), static_cast<std::uint32_t>(shorter.size())};
      const std::size_t rejected = suite.open({&part, 1});
      CHECK(rejected == (part.size == 0 ? 1u : 0u));
      if (part.size > 0)
        CHECK(part.size >= 32 + noise::handshake_part_size(kind_of(shorter), c.credentials.client.pattern));
    }
    CHECK(suite.open({&packet, 1}) == 0);
    CHECK(masked == clear);
    CHECK(packet.size == masked.size());
  }
}

}  // namespace kcptun::test::noise_session_test
