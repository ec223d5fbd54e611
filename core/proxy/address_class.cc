#include "core/proxy/address_class.h"

#include <algorithm>

namespace kcptun {
namespace {

constexpr IpNetwork ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, std::uint8_t bits) {
  return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}, static_cast<std::uint8_t>(96 + bits)};
}

// IANA's registries of special-purpose addresses (RFC 6890), without the networks for documentation, which
// lead nowhere.
constexpr std::array kSpecialNetworks{
    ipv4(0, 0, 0, 0, 8),         // this network; Linux connects 0.0.0.0 to itself
    ipv4(10, 0, 0, 0, 8),        // private (RFC 1918)
    ipv4(100, 64, 0, 0, 10),     // shared (RFC 6598); 100.100.100.200 is Alibaba's metadata service
    ipv4(127, 0, 0, 0, 8),       // loopback
    ipv4(168, 63, 129, 16, 32),  // Azure's metadata service, which has a public address
    ipv4(169, 254, 0, 0, 16),    // link-local; 169.254.169.254 is the metadata service of most clouds
    ipv4(172, 16, 0, 0, 12),     // private
    ipv4(192, 0, 0, 0, 24),      // protocol assignments; 192.0.0.192 is Oracle's metadata service
    ipv4(192, 88, 99, 0, 24),    // 6to4 relays (RFC 7526)
    ipv4(192, 168, 0, 0, 16),    // private
    ipv4(198, 18, 0, 0, 15),     // benchmarks (RFC 2544), and the invented addresses of local resolvers
    ipv4(224, 0, 0, 0, 4),       // multicast
    ipv4(240, 0, 0, 0, 4),       // reserved, and broadcast
    IpNetwork{{}, 96},           // unspecified, loopback, IPv4-compatible
    IpNetwork{{0, 0x64, 0xff, 0x9b, 0, 1}, 48},  // local NAT64 (RFC 8215)
    IpNetwork{{0x01, 0}, 64},                    // discard only (RFC 6666)
    IpNetwork{{0x20, 0x01, 0, 0}, 32},           // Teredo (RFC 4380), which embeds IPv4 addresses
    IpNetwork{{0x5f, 0}, 16},                    // segment routing (RFC 9602)
    IpNetwork{{0xfc}, 7},                        // private (RFC 4193); fd00:ec2::254 is a metadata service
    IpNetwork{{0xfe, 0x80}, 10},                 // link-local
    IpNetwork{{0xfe, 0xc0}, 10},                 // site-local, as it once was
    IpNetwork{{0xff}, 8},                        // multicast
};

constexpr IpNetwork kNat64{{0, 0x64, 0xff, 0x9b}, 96};  // RFC 6052
constexpr IpNetwork kSixToFour{{0x20, 0x02}, 16};       // RFC 3056

std::optional<IpNetwork> listed_network(const IpAddress& address) {
  const auto found = std::ranges::find_if(
      kSpecialNetworks, [&](const IpNetwork& network) { return network.contains(address); });
  if (found == kSpecialNetworks.end()) return std::nullopt;
  return *found;
}

}  // namespace

std::optional<IpAddress> embedded_ipv4(const IpAddress& address) {
  std::size_t at = 0;
  if (kNat64.contains(address)) at = 12;
  if (kSixToFour.contains(address)) at = 2;
  if (at == 0) return std::nullopt;
  IpAddress ipv4_address{};
  std::copy(kIpv4MappedPrefix.begin(), kIpv4MappedPrefix.end(), ipv4_address.begin());
  std::copy_n(address.begin() + static_cast<std::ptrdiff_t>(at), 4, ipv4_address.begin() + 12);
  return ipv4_address;
}

std::optional<IpNetwork> special_network(const IpAddress& address) {
  const auto embedded = embedded_ipv4(address);
  if (!embedded) return listed_network(address);
  const auto network = listed_network(*embedded);
  if (!network) return std::nullopt;
  // The special IPv4 network as the translator presents it.
  const bool nat64 = kNat64.contains(address);
  IpNetwork presented = nat64 ? kNat64 : kSixToFour;
  std::copy_n(network->address.begin() + 12, 4, presented.address.begin() + (nat64 ? 12 : 2));
  presented.bits = static_cast<std::uint8_t>(presented.bits + network->bits - 96);
  return presented;
}

}  // namespace kcptun
