// The PROXY protocol's header, against the examples and sizes of its specification.
#include "core/proxy/proxy_header.h"

#include <catch2/catch.hpp>
#include <string>

namespace kcptun::proxy_header_test {
namespace {

IpEndpoint ipv4(std::uint8_t last, std::uint16_t port) {
  return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last}, 0, port};
}
IpEndpoint ipv6(std::uint8_t last, std::uint16_t port) {
  return {{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last}, 0, port};
}
std::string header(ProxyHeaderVersion version, const IpEndpoint& client, const IpEndpoint& server) {
  const std::vector<std::uint8_t> bytes = proxy_header(version, client, server);
  return {bytes.begin(), bytes.end()};
}
const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

}  // namespace

TEST_CASE("version 1 of the PROXY protocol is one line of text") {
  CHECK(header(ProxyHeaderVersion::kV1, ipv4(7, 56324), ipv4(8, 443)) ==
        "PROXY TCP4 192.0.2.7 192.0.2.8 56324 443\r\n");
  CHECK(header(ProxyHeaderVersion::kV1, ipv6(7, 1), ipv6(0xab, 65535)) ==
        "PROXY TCP6 2001:db8:0:0:0:0:0:7 2001:db8:0:0:0:0:0:ab 1 65535\r\n");
}

TEST_CASE("version 2 of the PROXY protocol is binary, in network byte order") {
  CHECK(header(ProxyHeaderVersion::kV2, ipv4(7, 0x1234), ipv4(8, 443)) ==
        kSignature + std::string("\x21\x11\0\x0c\xc0\0\2\7\xc0\0\2\x08\x12\x34\1\xbb", 16));
  const std::string six = header(ProxyHeaderVersion::kV2, ipv6(7, 0x1234), ipv6(8, 443));
  CHECK(six.size() == 52);
  CHECK(six.substr(12, 4) == std::string("\x21\x21\0\x24", 4));
  CHECK(six.substr(48) == std::string("\x12\x34\1\xbb", 4));
}

TEST_CASE("addresses of two families stand in the PROXY header as IPv6") {
  CHECK(header(ProxyHeaderVersion::kV1, ipv4(7, 1), ipv6(8, 2)) ==
        "PROXY TCP6 0:0:0:0:0:ffff:c000:207 2001:db8:0:0:0:0:0:8 1 2\r\n");
  CHECK(header(ProxyHeaderVersion::kV2, ipv4(7, 1), ipv6(8, 2)).size() == 52);
}

TEST_CASE("the longest line of version 1 has the 107 bytes that receivers expect at most") {
  IpEndpoint longest;
  longest.ip.fill(0xff);
  longest.port = 65535;
  CHECK(header(ProxyHeaderVersion::kV1, longest, longest).size() <= 107);
}

}  // namespace kcptun::proxy_header_test
