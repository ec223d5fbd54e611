#include "core/proxy/proxy_header.h"

#include <array>
#include <charconv>
#include <string>

#include "core/base/ip_network.h"

namespace kcptun {
namespace {

// Version 2, section 2.2 of the specification.
constexpr std::array<std::uint8_t, 12> kSignature{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                  0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
constexpr std::uint8_t kVersion2Proxy = 0x21;
constexpr std::uint8_t kTcpOverIpv4 = 0x11;
constexpr std::uint8_t kTcpOverIpv6 = 0x21;
constexpr std::size_t kIpv4Offset = kIpv4MappedPrefix.size();

bool both_ipv4(const IpEndpoint& a, const IpEndpoint& b) {
  return is_ipv4_mapped(a.ip) && is_ipv4_mapped(b.ip);
}

std::string ipv4_text(const IpEndpoint& endpoint) {
  std::string text;
  for (std::size_t i = kIpv4Offset; i < endpoint.ip.size(); ++i)
    text.append(text.empty() ? "" : ".").append(std::to_string(endpoint.ip[i]));
  return text;
}

/// All eight groups. The specification accepts them without "::".
std::string ipv6_text(const IpEndpoint& endpoint) {
  std::string text;
  for (std::size_t i = 0; i < endpoint.ip.size(); i += 2) {
    std::array<char, 4> digits{};
    const int group = endpoint.ip[i] << 8 | endpoint.ip[i + 1];
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), group, 16).ptr;
    text.append(i == 0 ? "" : ":").append(digits.data(), end);
  }
  return text;
}

std::vector<std::uint8_t> version_1(const IpEndpoint& client, const IpEndpoint& server) {
  const bool ipv4 = both_ipv4(client, server);
  const auto text_of = ipv4 ? ipv4_text : ipv6_text;
  std::string line(ipv4 ? "PROXY TCP4 " : "PROXY TCP6 ");
  line.append(text_of(client)).append(" ").append(text_of(server)).append(" ");
  line.append(std::to_string(client.port)).append(" ").append(std::to_string(server.port)).append("\r\n");
  return {line.begin(), line.end()};
}

void append_u16(std::vector<std::uint8_t>& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

std::vector<std::uint8_t> version_2(const IpEndpoint& client, const IpEndpoint& server) {
  const bool ipv4 = both_ipv4(client, server);
  const std::size_t offset = ipv4 ? kIpv4Offset : 0;
  std::vector<std::uint8_t> out(kSignature.begin(), kSignature.end());
  out.push_back(kVersion2Proxy);
  out.push_back(ipv4 ? kTcpOverIpv4 : kTcpOverIpv6);
  append_u16(out, 2 * (client.ip.size() - offset) + 4);  // two addresses and two ports
  for (const IpEndpoint* endpoint : {&client, &server})
    out.insert(out.end(), endpoint->ip.begin() + static_cast<std::ptrdiff_t>(offset), endpoint->ip.end());
  append_u16(out, client.port);
  append_u16(out, server.port);
  return out;
}

}  // namespace

std::vector<std::uint8_t> proxy_header(ProxyHeaderVersion version, const IpEndpoint& client,
                                       const IpEndpoint& server) {
  return version == ProxyHeaderVersion::kV1 ? version_1(client, server) : version_2(client, server);
}

}  // namespace kcptun
