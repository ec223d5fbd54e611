#include "core/noise/cipher_state.h"

#include "core/noise/hash.h"
#include "tests/noise/fixtures.h"

namespace kcptun::test::cipher_state_test {
using namespace kcptun::noise;

namespace {

const Buffer kHead{'h', 'e', 'a', 'd'};

Buffer sealed(const CipherState& cipher, std::uint64_t number, Buffer text, Bytes associated) {
  text.resize(text.size() + kTagSize);
  cipher.seal(number, associated, text);
  return text;
}

Bytes text_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST_CASE("BLAKE2b and its HMAC give the values of RFC 7693 and of an independent implementation") {
  CHECK(to_buffer(hash({text_of("a"), text_of("bc")})) ==
        from_hex("ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                 "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"));
  // Python: hmac.new(b"key", b"message", hashlib.blake2b)
  CHECK(to_buffer(hmac(text_of("key"), {text_of("message")})) ==
        from_hex("04e9ada930688cde75eec939782eed653073dd621d7643f813702976257cf037"
                 "d325b50eedd417c01b6ad1f978fbe2980a93d27d854044e8626df6fa279d6680"));
}

TEST_CASE(
    "a rekeyed cipher is that of an independent implementation, and the old one does not open its messages") {
  const nlohmann::json vectors = load_vectors("noise.json")["handshakes"];
  REQUIRE(vectors.size() == 2);
  for (const auto& vector : vectors) {
    CipherState cipher(secret_from(vector["keys"][0]));
    const CipherState before = cipher;
    cipher.rekey();
    Buffer message = sealed(cipher, 7, {'t', 'e', 'x', 't'}, kHead);
    CHECK(message == from_hex(vector["sealed_after_rekey"]));
    Buffer copy = message;
    CHECK_FALSE(before.open(7, kHead, copy));
    const CipherState rekeyed(secret_from(vector["rekeyed"]));
    CHECK(rekeyed.open(7, kHead, message));
  }
}

TEST_CASE("messages open in any order, and with their own number and associated data only") {
  const CipherState cipher(SecretKey{});
  Buffer first = sealed(cipher, 0, {1, 2, 3}, kHead);
  Buffer second = sealed(cipher, 1, {4, 5}, {});
  Buffer last = sealed(cipher, CipherState::kReserved - 1, {}, {});
  Buffer copy = first;
  CHECK_FALSE(cipher.open(1, kHead, copy));
  copy = first;
  CHECK_FALSE(cipher.open(0, {}, copy));
  CHECK(cipher.open(CipherState::kReserved - 1, {}, last));
  CHECK(cipher.open(1, {}, second));
  CHECK(second[0] == 4);
  CHECK(cipher.open(0, kHead, first));
  CHECK(first[2] == 3);
}

TEST_CASE("a message that was changed or cut is refused, and its bytes are erased") {
  const CipherState cipher(SecretKey{});
  const Buffer message = sealed(cipher, 3, Buffer(100, 'x'), kHead);
  for (std::size_t size = 0; size < message.size(); ++size) {
    Buffer cut(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_FALSE(cipher.open(3, kHead, cut));
  }
  for (std::size_t i = 0; i < message.size(); ++i) {
    Buffer changed = message;
    changed[i] ^= 0x80;
    CHECK_FALSE(cipher.open(3, kHead, changed));
    CHECK(std::ranges::all_of(Bytes(changed).first(100), [](std::uint8_t byte) { return byte == 0; }));
  }
}

}  // namespace kcptun::test::cipher_state_test
