// Whole packets of section 15 against those of an independent implementation (tests/vectors/noise.py).
#include "core/noise/packet.h"

#include "tests/noise/fixtures.h"

using namespace kcptun;
using namespace kcptun::noise;
using namespace kcptun::test;

namespace {

struct Session {
  explicit Session(const nlohmann::json& vector)
      : json(vector), session(vector["session"]), body(from_hex(vector["body"])) {
    for (const auto& published : published_handshakes())
      if (published["protocol_name"] == json["protocol_name"]) keys = published;
    pattern = pattern_of(json);
    if (pattern == Pattern::kIKpsk2) server = KeyPair::of(secret_from(keys["resp_static"])).public_key;
    shared.emplace(secret_from(json["master"]), server ? &*server : nullptr);
    if (json["cookie"] != "") std::ranges::copy(from_hex(json["cookie"]), cookie.emplace().begin());
  }

  Handshake end(Role role) const {
    HandshakeKeys own = keys_of(keys, role == Role::kClient ? "init" : "resp");
    own.psk = shared->psk;
    Buffer prologue{'k', 'c', 'p', 't', 'u', 'n', '-', 'u', 'v', ' ', 'n', 'o', 'i', 's', 'e', ' ', '1'};
    prologue.resize(prologue.size() + sizeof session);
    store_u64(prologue.data() + prologue.size() - sizeof session, session);
    return {role, pattern, prologue, own};
  }
  Buffer packet(const std::string& name) const { return from_hex(json["packets"][name]); }

  nlohmann::json json;
  nlohmann::json keys;
  std::uint64_t session;
  Buffer body;
  Pattern pattern{};
  std::optional<PublicKey> server;
  std::optional<SharedKeys> shared;
  std::optional<Cookie> cookie;
};

std::vector<Session> sessions() {
  std::vector<Session> out;
  const nlohmann::json vectors = load_vectors("noise.json")["sessions"];
  for (const auto& vector : vectors) out.emplace_back(vector);
  REQUIRE(out.size() == 4);
  return out;
}

// Seals a packet: head and handshake part in the clear before the body.
Buffer sealed(const Session& s, const Head& head, const Buffer& part, const CipherState& key) {
  Buffer packet(kHeadSize);
  write_head(packet.data(), head);
  packet.insert(packet.end(), part.begin(), part.end());
  const std::size_t front = packet.size();
  packet.insert(packet.end(), s.body.begin(), s.body.end());
  packet.resize(packet.size() + kTagSize);
  key.seal(head.counter, Bytes(packet).first(front), MutableBytes(packet).subspan(front));
  mask(s.shared->mask, packet, 0, front);
  return packet;
}

// The head, with the mask off what stands before the body.
Head unmasked(const Session& s, Buffer& packet) {
  mask(s.shared->mask, packet, 0, kHeadSize);
  const std::optional<Head> head = read_head(packet.data());
  REQUIRE(head);
  mask(s.shared->mask, packet, kHeadSize, kHeadSize + handshake_part_size(head->kind, s.pattern));
  return *head;
}

MutableBytes part_of(const Session& s, const Head& head, Buffer& packet) {
  return MutableBytes(packet).subspan(kHeadSize, handshake_part_size(head.kind, s.pattern));
}

bool opens_to_body(const Session& s, const Head& head, Buffer& packet, const CipherState& key) {
  const std::size_t front = kHeadSize + handshake_part_size(head.kind, s.pattern);
  const MutableBytes text = MutableBytes(packet).subspan(front);
  return key.open(head.counter, Bytes(packet).first(front), text) &&
         std::ranges::equal(text.first(text.size() - kTagSize), s.body);
}

}  // namespace

TEST_CASE("a session's packets are those of an independent implementation") {
  for (const Session& s : sessions()) {
    Handshake client = s.end(Role::kClient);
    Handshake server = s.end(Role::kServer);
    Buffer message = written(client);
    Buffer part(handshake_part_size(Kind::kHello, s.pattern));
    const Hello hello{s.json["time"], message, {}, {}};
    write_hello(part, s.session, hello, s.shared->mac, s.cookie ? &*s.cookie : nullptr);
    CHECK(sealed(s, {s.session, 0, 0, Kind::kHello}, part, CipherState(client.first_flight_key())) ==
          s.packet("hello"));
    REQUIRE(read(server, message));
    const Buffer answer = written(server);
    const SymmetricState::Split keys = server.split();
    CipherState to_client(keys.responder);
    CHECK(sealed(s, {s.session, 0, 0, Kind::kAnswer}, answer, to_client) == s.packet("answer"));
    CHECK(sealed(s, {s.session, 1, 0, Kind::kData}, {}, CipherState(keys.initiator)) ==
          s.packet("client data"));
    to_client.rekey();
    CHECK(sealed(s, {s.session, kMaxCounter, 1, Kind::kData}, {}, to_client) == s.packet("server data"));
  }
}

TEST_CASE("packets of an independent implementation open, from the hello to data after a renewal") {
  for (const Session& s : sessions()) {
    Handshake client = s.end(Role::kClient);
    written(client);
    Handshake server = s.end(Role::kServer);
    Buffer packet = s.packet("hello");
    Head head = unmasked(s, packet);
    CHECK(head.session == s.session);
    CHECK(head.kind == Kind::kHello);
    const std::optional<Hello> hello = read_hello(part_of(s, head, packet), head.session, s.shared->mac);
    REQUIRE(hello);
    CHECK(hello->time == s.json["time"]);
    CHECK(has_cookie(*hello, head.session, s.cookie.value_or(Cookie{})) == s.cookie.has_value());
    CHECK_FALSE(has_cookie(*hello, head.session, Cookie{9}));
    REQUIRE(read(server, to_buffer(hello->message)));
    CHECK(opens_to_body(s, head, packet, CipherState(server.first_flight_key())));
    written(server);

    packet = s.packet("answer");
    head = unmasked(s, packet);
    CHECK(head.kind == Kind::kAnswer);
    REQUIRE(read(client, to_buffer(part_of(s, head, packet))));
    CipherState from_server(client.split().responder);
    CHECK(opens_to_body(s, head, packet, from_server));

    packet = s.packet("client data");
    head = unmasked(s, packet);
    CHECK(head.counter == 1);
    CHECK(opens_to_body(s, head, packet, CipherState(server.split().initiator)));

    packet = s.packet("server data");
    head = unmasked(s, packet);
    CHECK(head.epoch == 1);
    CHECK(head.counter == kMaxCounter);
    from_server.rekey();
    CHECK(opens_to_body(s, head, packet, from_server));
  }
}

TEST_CASE("a hello with one bit changed has no right mac1") {
  for (const Session& s : sessions()) {
    Buffer packet = s.packet("hello");
    const Head head = unmasked(s, packet);
    Buffer part = to_buffer(part_of(s, head, packet));
    for (std::size_t i = 0; i < part.size() - kMacSize; ++i) {
      part[i] ^= 1;
      CHECK_FALSE(read_hello(part, head.session, s.shared->mac));
      part[i] ^= 1;
    }
    CHECK_FALSE(read_hello(part, head.session + 1, s.shared->mac));
    CHECK(read_hello(part, head.session, s.shared->mac));
  }
}

TEST_CASE("heads keep their fields, and unknown kinds are refused") {
  std::array<std::uint8_t, kHeadSize> bytes;
  for (std::uint64_t kind = 0; kind < 256; ++kind) {
    store_u64(bytes.data(), 5);
    store_u64(bytes.data() + 8, kind << 56 | std::uint64_t{200} << 48 | kMaxCounter);
    const std::optional<Head> head = read_head(bytes.data());
    REQUIRE(head.has_value() == (kind < 4));
    if (!head) continue;
    CHECK(head->epoch == 200);
    CHECK(head->counter == kMaxCounter);
    const auto before = bytes;
    write_head(bytes.data(), *head);
    CHECK(bytes == before);
  }
}

TEST_CASE("a mask comes off again, touches its range only, and another tag makes another one") {
  const SecretKey key;
  for (const std::uint8_t last : {std::uint8_t{0}, std::uint8_t{0xff}}) {  // 0xff: the block counter wraps
    Buffer packet(kMaxMasked + kTagSize, 0);
    std::fill(packet.end() - kTagSize, packet.end(), last);
    const Buffer before = packet;
    mask(key, packet, kHeadSize, kMaxMasked);
    CHECK(std::equal(packet.begin(), packet.begin() + kHeadSize, before.begin()));
    CHECK(std::equal(packet.end() - kTagSize, packet.end(), before.end() - kTagSize));
    CHECK(packet != before);
    Buffer whole = before;
    mask(key, whole, 0, kMaxMasked);
    CHECK(std::equal(whole.begin() + kHeadSize, whole.end(), packet.begin() + kHeadSize));
    mask(key, packet, kHeadSize, kMaxMasked);
    CHECK(packet == before);
  }
}
