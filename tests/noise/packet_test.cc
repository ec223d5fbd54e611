// Whole packets of section 15 against those of an independent implementation (tests/vectors/noise.py).
#include "core/noise/packet.h"

#include "core/crypt/header_mask.h"
#include "core/crypt/noise_gcm.h"
#include "core/noise/session_keys.h"
#include "tests/noise/fixtures.h"

namespace kcptun::test::packet_test {
using namespace kcptun::noise;

namespace {

struct Session {
  explicit Session(const nlohmann::json& vector)
      : json(vector), session(vector["session"]), body(from_hex(vector["body"])) {
    for (const auto& published : published_handshakes())
      if (published["protocol_name"] == json["protocol_name"]) keys = published;
    pattern = pattern_of(json);
    aes = json["aes"];
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
  EpochKey flight_key(const SecretKey& key) const { return {CipherState(key), nullptr}; }
  EpochKey data_key(const SecretKey& key) const { return {CipherState(key), aes ? make_noise_gcm : nullptr}; }
  Buffer packet(const std::string& name) const { return from_hex(json["packets"][name]); }

  nlohmann::json json;
  nlohmann::json keys;
  std::uint64_t session;
  Buffer body;
  Pattern pattern{};
  bool aes = false;
  std::optional<PublicKey> server;
  std::optional<SharedKeys> shared;
  std::optional<Cookie> cookie;
};

std::vector<Session> sessions() {
  std::vector<Session> out;
  const nlohmann::json vectors = load_vectors("noise.json")["sessions"];
  for (const auto& vector : vectors) out.emplace_back(vector);
  REQUIRE(out.size() == 8);
  return out;
}

// Seals a packet: head and handshake part in the clear before the body.
Buffer sealed(const Session& s, Head head, const Buffer& part, EpochKey& key) {
  Buffer packet(kHeadSize);
  head.aes = s.aes;
  write_head(packet.data(), head);
  packet.insert(packet.end(), part.begin(), part.end());
  const std::size_t front = packet.size();
  packet.insert(packet.end(), s.body.begin(), s.body.end());
  packet.resize(packet.size() + kTagSize);
  key.seal(head.counter, Bytes(packet).first(front), MutableBytes(packet).subspan(front));
  HeaderMask(s.shared->mask).apply(packet, 0, front);
  return packet;
}

// The head, with the mask off what stands before the body.
Head unmasked(const Session& s, Buffer& packet) {
  HeaderMask mask(s.shared->mask);
  mask.apply(packet, 0, kHeadSize);
  const std::optional<Head> head = read_head(packet.data());
  REQUIRE(head);
  mask.apply(packet, kHeadSize, kHeadSize + handshake_part_size(head->kind, s.pattern));
  return *head;
}

MutableBytes part_of(const Session& s, const Head& head, Buffer& packet) {
  return MutableBytes(packet).subspan(kHeadSize, handshake_part_size(head.kind, s.pattern));
}

bool opens_to_body(const Session& s, const Head& head, Buffer& packet, EpochKey& key) {
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
    EpochKey flight = s.flight_key(client.first_flight_key());
    CHECK(sealed(s, {s.session, 0, 0, Kind::kHello}, part, flight) == s.packet("hello"));
    REQUIRE(read(server, message));
    const Buffer answer = written(server);
    const SymmetricState::Split keys = server.split();
    EpochKey to_client = s.data_key(keys.responder);
    EpochKey to_server = s.data_key(keys.initiator);
    CHECK(sealed(s, {s.session, 0, 0, Kind::kAnswer}, answer, to_client) == s.packet("answer"));
    CHECK(sealed(s, {s.session, 1, 0, Kind::kData}, {}, to_server) == s.packet("client data"));
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
    CHECK(head.aes == s.aes);
    EpochKey flight = s.flight_key(server.first_flight_key());
    CHECK(opens_to_body(s, head, packet, flight));
    written(server);

    packet = s.packet("answer");
    head = unmasked(s, packet);
    CHECK(head.kind == Kind::kAnswer);
    REQUIRE(read(client, to_buffer(part_of(s, head, packet))));
    CHECK(head.aes == s.aes);
    EpochKey from_server = s.data_key(client.split().responder);
    CHECK(opens_to_body(s, head, packet, from_server));

    packet = s.packet("client data");
    head = unmasked(s, packet);
    CHECK(head.counter == 1);
    EpochKey from_client = s.data_key(server.split().initiator);
    CHECK(opens_to_body(s, head, packet, from_client));

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
    REQUIRE(head.has_value() == (kind % 128 < 4 && kind != 0x83));  // no cookie offers AES
    if (!head) continue;
    CHECK(head->epoch == 200);
    CHECK(head->aes == (kind >= 128));
    CHECK(head->counter == kMaxCounter);
    const auto before = bytes;
    write_head(bytes.data(), *head);
    CHECK(bytes == before);
  }
}

TEST_CASE("a mask comes off again, touches its range only, and another tag makes another one") {
  HeaderMask mask(SecretKey{});
  Buffer packet(kMaxMasked + kTagSize, 0);
  std::fill(packet.end() - kTagSize, packet.end(), std::uint8_t{7});
  const Buffer before = packet;
  mask.apply(packet, kHeadSize, kMaxMasked);
  CHECK(std::equal(packet.begin(), packet.begin() + kHeadSize, before.begin()));
  CHECK(std::equal(packet.end() - kTagSize, packet.end(), before.end() - kTagSize));
  CHECK(packet != before);
  Buffer whole = before;
  mask.apply(whole, 0, kMaxMasked);
  CHECK(std::equal(whole.begin() + kHeadSize, whole.end(), packet.begin() + kHeadSize));
  Buffer other = before;
  other.back() ^= 0x80;
  mask.apply(other, 0, kMaxMasked);
  CHECK_FALSE(std::equal(other.begin(), other.begin() + kHeadSize, whole.begin()));
  mask.apply(packet, kHeadSize, kMaxMasked);
  CHECK(packet == before);
}

TEST_CASE("the heads of a batch are masked as each alone is, and packets without a head are left alone") {
  HeaderMask mask(SecretKey{});
  std::vector<Buffer> buffers;
  std::vector<Packet> packets;
  for (std::size_t i = 0; i < 150; ++i) {
    buffers.emplace_back(i % 7 == 3 ? i % 32 : 32 + i, static_cast<std::uint8_t>(i));
  }
  const std::vector<Buffer> before = buffers;
  for (Buffer& buffer : buffers)
    packets.push_back({buffer.data(), static_cast<std::uint32_t>(buffer.size())});
  mask.apply_to_heads(packets);
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    Buffer alone = before[i];
    if (alone.size() >= kHeadSize + kTagSize) mask.apply(alone, 0, kHeadSize);
    CHECK(buffers[i] == alone);
  }
}

}  // namespace kcptun::test::packet_test
