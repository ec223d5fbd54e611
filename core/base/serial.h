// Serial number arithmetic modulo 2^32 (RFC 1982): sn, una and ts compare by signed difference.
#pragma once

#include <cstdint>

namespace kcptun {

constexpr std::int32_t serial_diff(std::uint32_t later, std::uint32_t earlier) {
  return static_cast<std::int32_t>(later - earlier);
}
constexpr bool serial_less(std::uint32_t a, std::uint32_t b) { return serial_diff(a, b) < 0; }

}  // namespace kcptun
