// Bytes of SOCKS5, RFC 1928, that the reader and the writer of requests share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kcptun::socks5 {

// Sections 3 and 4.
inline constexpr std::uint8_t kVersion = 5;
inline constexpr std::uint8_t kNoAuthentication = 0;

// Address types of section 5.
inline constexpr std::uint8_t kTypeIpv4 = 1;
inline constexpr std::uint8_t kTypeName = 3;
inline constexpr std::uint8_t kTypeIpv6 = 4;

// In bytes.
inline constexpr std::size_t kIpv4Size = 4;
inline constexpr std::size_t kIpv6Size = 16;
inline constexpr std::size_t kPortSize = 2;

}  // namespace kcptun::socks5
