// CRCs of 32 bits by tables, eight bytes a step ("slicing by 8": Kounavis and Berry, "Novel table
// lookup-based algorithms for high-performance CRC generation", 2008). For CPUs on which ISA-L has no code of
// its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/base/bytes.h"

namespace kcptun {

/// Reflected polynomials.
inline constexpr std::uint32_t kCrc32Polynomial = 0xedb88320;   // IEEE 802.3
inline constexpr std::uint32_t kCrc32cPolynomial = 0x82f63b78;  // Castagnoli

/// Table s has the CRC of each byte that s zero bytes follow. 8 KiB.
using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr CrcTables make_crc_tables(std::uint32_t polynomial) {
  CrcTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? polynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t s = 1; s < tables.size(); ++s)
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t crc = tables[s - 1][byte];
      tables[s][byte] = (crc >> 8) ^ tables[0][crc & 0xff];
    }
  return tables;
}

/// Initial value and final XOR 0xffffffff.
template <std::uint32_t kPolynomial>
std::uint32_t sliced_crc(Bytes bytes) {
  static constexpr CrcTables kTables = make_crc_tables(kPolynomial);
  const auto four = [](std::uint32_t word, std::size_t s) {
    return kTables[s + 3][word & 0xff] ^ kTables[s + 2][word >> 8 & 0xff] ^
           kTables[s + 1][word >> 16 & 0xff] ^ kTables[s][word >> 24];
  };
  std::uint32_t crc = 0xffffffff;
  const std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; p += 8, left -= 8) crc = four(load_u32(p) ^ crc, 4) ^ four(load_u32(p + 4), 0);
  for (; left > 0; ++p, --left) crc = (crc >> 8) ^ kTables[0][(crc ^ *p) & 0xff];
  return ~crc;
}

}  // namespace kcptun
