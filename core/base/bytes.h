// Byte spans, and little-endian loads and stores. The caller checks sizes first.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>

namespace kcptun {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

static_assert(std::endian::native == std::endian::little || std::endian::native == std::endian::big);

template <std::unsigned_integral T>
constexpr T swap_bytes(T value) {
  static_assert(sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

template <std::unsigned_integral T>
inline T load_le(const std::uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  if constexpr (std::endian::native == std::endian::big) value = swap_bytes(value);
  return value;
}
template <std::unsigned_integral T>
inline void store_le(std::uint8_t* p, T value) {
  if constexpr (std::endian::native == std::endian::big) value = swap_bytes(value);
  std::memcpy(p, &value, sizeof value);
}

inline std::uint16_t load_u16(const std::uint8_t* p) { return load_le<std::uint16_t>(p); }
inline std::uint32_t load_u32(const std::uint8_t* p) { return load_le<std::uint32_t>(p); }
inline std::uint64_t load_u64(const std::uint8_t* p) { return load_le<std::uint64_t>(p); }
inline void store_u16(std::uint8_t* p, std::uint16_t v) { store_le(p, v); }
inline void store_u32(std::uint8_t* p, std::uint32_t v) { store_le(p, v); }
inline void store_u64(std::uint8_t* p, std::uint64_t v) { store_le(p, v); }

}  // namespace kcptun
