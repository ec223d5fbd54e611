#include "core/base/sliced_crc.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <iterator>
#include <string_view>
#include <vector>

namespace kcptun::sliced_crc_test {

namespace {

std::uint32_t bitwise_crc(Bytes bytes, std::uint32_t polynomial) {
  std::uint32_t crc = 0xffffffff;
  for (std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ (crc & 1 ? polynomial : 0);
  }
  return ~crc;
}

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST_CASE("sliced CRCs of the standard check string are the published ones") {
  CHECK(sliced_crc<kCrc32Polynomial>(bytes_of("123456789")) == 0xcbf43926);
  CHECK(sliced_crc<kCrc32cPolynomial>(bytes_of("123456789")) == 0xe3069283);
  CHECK(sliced_crc<kCrc32Polynomial>({}) == 0);
}

TEST_CASE("sliced CRCs agree with the bitwise definition at every size and alignment") {
  std::vector<std::uint8_t> bytes(1600);
  std::uint32_t state = 1;
  for (std::uint8_t& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  for (std::size_t size = 0; size <= 1500; ++size) {
    const Bytes view = Bytes(bytes).subspan(size % 17, size);
    REQUIRE(sliced_crc<kCrc32Polynomial>(view) == bitwise_crc(view, kCrc32Polynomial));
    REQUIRE(sliced_crc<kCrc32cPolynomial>(view) == bitwise_crc(view, kCrc32cPolynomial));
  }
}

TEST_CASE("wire integers are little-endian on every processor") {
  const std::uint8_t wire[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  CHECK(load_u16(wire) == 0x0201);
  CHECK(load_u32(wire) == 0x04030201);
  CHECK(load_u64(wire) == 0x0807060504030201);
  std::uint8_t stored[8] = {};
  store_u64(stored, 0x0807060504030201);
  CHECK(std::equal(std::begin(wire), std::end(wire), std::begin(stored)));
  store_u16(stored, 0x0a09);
  CHECK((stored[0] == 9 && stored[1] == 10 && stored[2] == 3));
}

}  // namespace kcptun::sliced_crc_test
