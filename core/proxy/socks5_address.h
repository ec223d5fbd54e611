// The address field of SOCKS5 (RFC 1928 section 5), which requests, replies and datagram frames share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/path.h"

namespace kcptun {

/// A destination: a host name, or an address. IPv4-mapped IPv6 addresses and IPv4 addresses are the same
/// value, as everywhere in core; they are written as IPv4.
struct Socks5Address {
  /// In bytes. The length field has one byte.
  static constexpr std::size_t kMaxName = 255;
  /// In bytes, with the longest name: type, length, name, port.
  static constexpr std::size_t kMaxSize = 1 + 1 + kMaxName + 2;

  std::string name;     // 1..kMaxName printable ASCII characters without spaces; "" if it is an address
  IpEndpoint endpoint;  // the address, unless there is a name; the port in both cases; no scope

  bool is_name() const { return !name.empty(); }
  std::uint16_t port() const { return endpoint.port; }
  bool operator==(const Socks5Address&) const = default;
};

/// Nothing if SOCKS5 cannot carry the name, see Socks5Address::name.
std::optional<Socks5Address> socks5_name(std::string_view name, std::uint16_t port);
Socks5Address socks5_endpoint(const IpEndpoint& endpoint);

/// Size of the encoded address in bytes, at most Socks5Address::kMaxSize.
std::size_t socks5_address_size(const Socks5Address& address);
/// Writes the address to the front of `out` and returns its size.
/// REQUIRES: out.size() >= socks5_address_size(address).
std::size_t write_socks5_address(const Socks5Address& address, MutableBytes out);

enum class Socks5AddressStatus : std::uint8_t {
  kComplete,
  kIncomplete,   // more bytes are needed, at most Socks5Address::kMaxSize in all
  kUnknownType,  // the address type is none of IPv4, name and IPv6
  kBadName,      // the name is empty or has a character that no host name has
};

struct Socks5AddressInput {
  Socks5AddressStatus status = Socks5AddressStatus::kIncomplete;
  std::size_t size = 0;   // of the encoded address, if complete
  Socks5Address address;  // if complete
};

/// Reads the address at the front of `bytes`. Reports kUnknownType and kBadName as soon as the bytes show it.
Socks5AddressInput read_socks5_address(Bytes bytes);

}  // namespace kcptun
