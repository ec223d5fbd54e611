// The handshake against published vectors (tests/vectors/noise-cacophony.json) and those of an implementation
// of our own (tests/vectors/noise.py), and what forged messages do to it.
#include "core/noise/handshake.h"

#include "tests/noise/fixtures.h"

namespace kcptun::test::handshake_test {
using namespace kcptun::noise;

namespace {

Buffer bytes_of(const SecretKey& key) { return to_buffer(key.bytes()); }

void finish(Ends& ends) {
  REQUIRE(read(ends.server, written(ends.client)));
  REQUIRE(read(ends.client, written(ends.server)));
}

// Public keys with which X25519 gives zero: 0, 1, and a point of order 8 (RFC 7748 section 6.1, RFC 7748
// errata).
std::vector<PublicKey> worthless_keys() {
  PublicKey zero{};
  PublicKey one{};
  one[0] = 1;
  const Buffer bytes = from_hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
  PublicKey eight;
  std::ranges::copy(bytes, eight.begin());
  return {zero, one, eight};
}

}  // namespace

TEST_CASE("both patterns reproduce the published vectors") {
  REQUIRE(published_handshakes().size() == 2);
  for (const auto& vector : published_handshakes()) {
    Ends ends = ends_of(vector);
    const auto& messages = vector["messages"];
    for (std::size_t i = 0; i < 2; ++i) {
      Handshake& from = i == 0 ? ends.client : ends.server;
      Handshake& to = i == 0 ? ends.server : ends.client;
      const Buffer message = written(from, from_hex(messages[i]["payload"]));
      CHECK(message == from_hex(messages[i]["ciphertext"]));
      CHECK(read(to, message) == from_hex(messages[i]["payload"]));
    }
    CHECK(to_buffer(ends.client.handshake_hash()) == from_hex(vector["handshake_hash"]));
    CHECK(to_buffer(ends.server.handshake_hash()) == from_hex(vector["handshake_hash"]));
    const SymmetricState::Split keys = ends.server.split();
    for (std::size_t i = 2; i < messages.size(); ++i) {
      const CipherState cipher(i % 2 == 0 ? keys.initiator : keys.responder);
      const Buffer payload = from_hex(messages[i]["payload"]);
      Buffer message = payload;
      message.resize(payload.size() + kTagSize);
      cipher.seal(i / 2 - 1, {}, message);
      CHECK(message == from_hex(messages[i]["ciphertext"]));
      REQUIRE(cipher.open(i / 2 - 1, {}, message));
      CHECK(std::ranges::equal(Bytes(message).first(payload.size()), payload));
    }
  }
}

TEST_CASE("both ends get the same keys, those of an independent implementation") {
  const nlohmann::json expected = load_vectors("noise.json")["handshakes"];
  REQUIRE(expected.size() == published_handshakes().size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    Ends ends = ends_of(published_handshakes()[i]);
    const Buffer first = written(ends.client);
    CHECK(first == from_hex(expected[i]["messages"][0]));
    REQUIRE(read(ends.server, first));
    CHECK(bytes_of(ends.client.first_flight_key()) == from_hex(expected[i]["first_flight_key"]));
    CHECK(bytes_of(ends.server.first_flight_key()) == from_hex(expected[i]["first_flight_key"]));
    const Buffer second = written(ends.server);
    CHECK(second == from_hex(expected[i]["messages"][1]));
    REQUIRE(read(ends.client, second));
    for (const Handshake* end : {&ends.client, &ends.server}) {
      REQUIRE(end->finished());
      CHECK(bytes_of(end->split().initiator) == from_hex(expected[i]["keys"][0]));
      CHECK(bytes_of(end->split().responder) == from_hex(expected[i]["keys"][1]));
    }
  }
}

TEST_CASE(
    "the server learns the client's static key from the first message, and then chooses its pre-shared key") {
  const auto& vector = published_handshakes()[1];
  REQUIRE(pattern_of(vector) == Pattern::kIKpsk2);
  HandshakeKeys server_keys = keys_of(vector, "resp");
  const SecretKey psk = server_keys.psk;
  server_keys.psk.clear();
  Ends ends = ends_of(vector);
  ends.server = Handshake(Role::kServer, Pattern::kIKpsk2, from_hex(vector["resp_prologue"]), server_keys);
  CHECK_FALSE(ends.server.remote_static());
  REQUIRE(read(ends.server, written(ends.client)));
  CHECK(ends.server.remote_static() == keys_of(vector, "init").local_static->public_key);
  ends.server.set_psk(psk);
  CHECK(read(ends.client, written(ends.server)));
}

TEST_CASE("a message that was changed or cut anywhere is refused, and the right one is still taken") {
  for (const auto& vector : published_handshakes()) {
    Ends ends = ends_of(vector);
    for (int turn = 0; turn < 2; ++turn) {
      Handshake& from = turn == 0 ? ends.client : ends.server;
      Handshake& to = turn == 0 ? ends.server : ends.client;
      const Buffer message = written(from);
      for (std::size_t size = 0; size < message.size(); ++size)
        CHECK_FALSE(read(to, Buffer(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size))));
      for (std::size_t i = 0; i < message.size(); ++i) {
        Buffer changed = message;
        changed[i] ^= 1;
        CHECK_FALSE(read(to, changed));
      }
      CHECK(read(to, message));
    }
    CHECK(bytes_of(ends.client.split().initiator) == bytes_of(ends.server.split().initiator));
  }
}

TEST_CASE("ends with another key, prologue or server do not understand each other") {
  for (const auto& vector : published_handshakes()) {
    const Pattern pattern = pattern_of(vector);
    const Buffer prologue = from_hex(vector["init_prologue"]);
    SecretKey other;
    other.writable()[0] = 1;
    {
      Ends ends = ends_of(vector);
      ends.client = Handshake(Role::kClient, pattern, Bytes(prologue).first(3), keys_of(vector, "init"));
      CHECK_FALSE(read(ends.server, written(ends.client)));
    }
    {
      HandshakeKeys keys = keys_of(vector, "init");
      keys.psk = other;
      Ends ends = ends_of(vector);
      ends.client = Handshake(Role::kClient, pattern, prologue, keys);
      const bool opened = read(ends.server, written(ends.client)).has_value();
      CHECK(opened == (pattern == Pattern::kIKpsk2));  // there the key comes with the second message
      if (opened) CHECK_FALSE(read(ends.client, written(ends.server)));
    }
    if (pattern == Pattern::kIKpsk2) {
      HandshakeKeys keys = keys_of(vector, "resp");
      keys.local_static = KeyPair::of(other);
      Ends ends = ends_of(vector);
      ends.server = Handshake(Role::kServer, pattern, prologue, keys);
      CHECK_FALSE(read(ends.server, written(ends.client)));
    }
  }
}

TEST_CASE("a public key of small order ends the handshake at whoever receives it") {
  const auto& vector = published_handshakes()[0];
  REQUIRE(pattern_of(vector) == Pattern::kNNpsk0);
  for (const PublicKey& key : worthless_keys()) {
    HandshakeKeys keys = keys_of(vector, "init");
    keys.ephemeral.public_key = key;
    Ends ends = ends_of(vector);
    ends.client = Handshake(Role::kClient, Pattern::kNNpsk0, from_hex(vector["init_prologue"]), keys);
    REQUIRE(read(ends.server, written(ends.client)));
    Buffer answer(ends.server.message_size(0));
    CHECK_FALSE(ends.server.write({}, answer));
  }
}

TEST_CASE("the keys of one session tell nothing about another's: each ephemeral key changes all of them") {
  for (const auto& vector : published_handshakes()) {
    Ends once = ends_of(vector);
    HandshakeKeys keys = keys_of(vector, "init");
    SecretKey fresh;
    fresh.writable()[0] = 77;
    keys.ephemeral = KeyPair::of(fresh);
    Ends again = ends_of(vector);
    again.client = Handshake(Role::kClient, pattern_of(vector), from_hex(vector["init_prologue"]), keys);
    finish(once);
    finish(again);
    CHECK(bytes_of(once.client.split().initiator) != bytes_of(again.client.split().initiator));
    CHECK(bytes_of(once.client.split().responder) != bytes_of(again.client.split().responder));
    CHECK(bytes_of(once.client.split().initiator) != bytes_of(once.client.split().responder));
  }
}

}  // namespace kcptun::test::handshake_test
