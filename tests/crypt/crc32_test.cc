#include "core/crypt/crc32.h"

#include "tests/crypt/paths.h"

namespace kcptun::test::crc32_test {

namespace {

std::uint32_t slow_crc32(Bytes bytes) {
  std::uint32_t crc = 0xffffffff;
  for (std::uint8_t b : bytes) {
    crc ^= b;
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

}  // namespace

TEST_CASE("CRC-32 of the standard check string is 0xcbf43926") {
  const std::string text = "123456789";
  CHECK(crc32({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}) == 0xcbf43926);
  CHECK(crc32({}) == 0);
}

TEST_CASE("CRC-32 agrees with the bitwise definition at every size and alignment") {
  Random random(7);
  const auto bytes = random_bytes(random, 1600);
  for (std::size_t size = 0; size <= 1500; ++size) {
    const Bytes view = Bytes(bytes).subspan(size % 17, size);
    REQUIRE(crc32(view) == slow_crc32(view));
  }
}

}  // namespace kcptun::test::crc32_test
