#include "core/stream/qpp.h"

#include <catch2/catch.hpp>

#include "core/base/random.h"
#include "tests/support/vectors.h"

namespace kcptun::test::qpp_test {

using Buffer = std::vector<std::uint8_t>;

TEST_CASE("recorded streams are encrypted and decrypted, in any pieces") {
  const auto vectors = load_vectors("qpp.json");
  for (const auto& vector : vectors.at("streams")) {
    const std::string key = vector.at("key");
    const Buffer plain = from_hex(vector.at("plain")), cipher = from_hex(vector.at("cipher"));
    const std::size_t count = vector.at("count");
    CAPTURE(key, count);
    const QppPads pads(key, count);
    Buffer zeros(64);
    QppStream(pads).encrypt(zeros);
    REQUIRE(zeros == from_hex(vector.at("first_64_zero_bytes")));
    Random random(count);
    for (std::uint32_t longest : {100000u, 1u, 2u, 7u, 8u, 9u, 40u}) {
      CAPTURE(longest);
      QppStream sender(pads), receiver(pads);
      Buffer bytes = plain;
      for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t n = std::min<std::size_t>(random.below(longest + 1), bytes.size() - at);
        sender.encrypt(MutableBytes(bytes).subspan(at, n));
        at += n;
      }
      REQUIRE(bytes == cipher);
      for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t n = std::min<std::size_t>(random.below(longest + 1), bytes.size() - at);
        receiver.decrypt(MutableBytes(bytes).subspan(at, n));
        at += n;
      }
      REQUIRE(bytes == plain);
    }
  }
}

TEST_CASE("streams of any number of pads undo themselves") {
  Random random(9);
  for (std::size_t count : {1, 2, 63, 64, 65, 1000}) {
    const QppPads pads("some key", count);
    Buffer bytes(5000);
    for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(random.next32());
    const Buffer before = bytes;
    QppStream(pads).encrypt(bytes);
    REQUIRE(bytes != before);
    QppStream(pads).decrypt(bytes);
    REQUIRE(bytes == before);
  }
}

}  // namespace kcptun::test::qpp_test
