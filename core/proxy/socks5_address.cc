#include "core/proxy/socks5_address.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/ip_network.h"
#include "core/proxy/socks5_wire.h"

namespace kcptun {
namespace {

// The name goes to a resolver and to the log. A NUL would end it early in C, other control characters and
// spaces forge log lines.
bool is_name_character(std::uint8_t c) { return c > ' ' && c < 0x7f; }

std::uint16_t load_port(const std::uint8_t* p) { return static_cast<std::uint16_t>(p[0] << 8 | p[1]); }

void store_port(std::uint8_t* p, std::uint16_t port) {
  p[0] = static_cast<std::uint8_t>(port >> 8);
  p[1] = static_cast<std::uint8_t>(port);
}

Socks5AddressInput read_ip(Bytes bytes, std::size_t ip_size) {
  const std::size_t size = 1 + ip_size + socks5::kPortSize;
  if (bytes.size() < size) return {};
  Socks5AddressInput input{Socks5AddressStatus::kComplete, size, {}};
  auto& ip = input.address.endpoint.ip;
  if (ip_size == socks5::kIpv4Size) std::copy(kIpv4MappedPrefix.begin(), kIpv4MappedPrefix.end(), ip.begin());
  std::copy_n(bytes.begin() + 1, ip_size, ip.end() - static_cast<std::ptrdiff_t>(ip_size));
  input.address.endpoint.port = load_port(&bytes[1 + ip_size]);
  return input;
}

Socks5AddressInput read_name(Bytes bytes) {
  constexpr std::size_t kHeader = 2;  // type and length
  if (bytes.size() < kHeader) return {};
  const std::size_t length = bytes[1];
  const Bytes name = bytes.subspan(kHeader, std::min(length, bytes.size() - kHeader));
  if (length == 0 || !std::all_of(name.begin(), name.end(), is_name_character))
    return {Socks5AddressStatus::kBadName, 0, {}};
  const std::size_t size = kHeader + length + socks5::kPortSize;
  if (bytes.size() < size) return {};
  Socks5AddressInput input{Socks5AddressStatus::kComplete, size, {}};
  input.address.name.assign(name.begin(), name.end());
  input.address.endpoint.port = load_port(&bytes[kHeader + length]);
  return input;
}

}  // namespace

std::optional<Socks5Address> socks5_name(std::string_view name, std::uint16_t port) {
  if (name.empty() || name.size() > Socks5Address::kMaxName) return std::nullopt;
  for (const char c : name)
    if (!is_name_character(static_cast<std::uint8_t>(c))) return std::nullopt;
  Socks5Address address{std::string(name), {}};
  address.endpoint.port = port;
  return address;
}

Socks5Address socks5_endpoint(const IpEndpoint& endpoint) {
  Socks5Address address{{}, endpoint};
  address.endpoint.scope = 0;
  return address;
}

std::size_t socks5_address_size(const Socks5Address& address) {
  if (address.is_name()) return 1 + 1 + address.name.size() + socks5::kPortSize;
  return 1 + (is_ipv4_mapped(address.endpoint.ip) ? socks5::kIpv4Size : socks5::kIpv6Size) +
         socks5::kPortSize;
}

std::size_t write_socks5_address(const Socks5Address& address, MutableBytes out) {
  KCPTUN_CHECK(address.name.size() <= Socks5Address::kMaxName);
  const std::size_t size = socks5_address_size(address);
  KCPTUN_CHECK(out.size() >= size);
  const auto& ip = address.endpoint.ip;
  if (address.is_name()) {
    out[0] = socks5::kTypeName;
    out[1] = static_cast<std::uint8_t>(address.name.size());
    std::copy(address.name.begin(), address.name.end(), out.begin() + 2);
  } else if (is_ipv4_mapped(address.endpoint.ip)) {
    out[0] = socks5::kTypeIpv4;
    std::copy(ip.begin() + kIpv4MappedPrefix.size(), ip.end(), out.begin() + 1);
  } else {
    out[0] = socks5::kTypeIpv6;
    std::copy(ip.begin(), ip.end(), out.begin() + 1);
  }
  store_port(&out[size - socks5::kPortSize], address.port());
  return size;
}

Socks5AddressInput read_socks5_address(Bytes bytes) {
  if (bytes.empty()) return {};
  switch (bytes[0]) {
    case socks5::kTypeIpv4:
      return read_ip(bytes, socks5::kIpv4Size);
    case socks5::kTypeIpv6:
      return read_ip(bytes, socks5::kIpv6Size);
    case socks5::kTypeName:
      return read_name(bytes);
    default:
      return {Socks5AddressStatus::kUnknownType, 0, {}};
  }
}

}  // namespace kcptun
