// The address field of SOCKS5: every type, every truncation, both sides of each limit.
#include "core/proxy/socks5_address.h"

#include <catch2/catch.hpp>
#include <vector>

namespace kcptun::socks5_address_test {
namespace {

using Status = Socks5AddressStatus;

std::vector<std::uint8_t> encoded(const Socks5Address& address) {
  std::vector<std::uint8_t> bytes(socks5_address_size(address));
  CHECK(write_socks5_address(address, bytes) == bytes.size());
  return bytes;
}

IpEndpoint ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, std::uint16_t port) {
  IpEndpoint endpoint;
  endpoint.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d};
  endpoint.port = port;
  return endpoint;
}

IpEndpoint ipv6(std::uint16_t port) {
  IpEndpoint endpoint;
  endpoint.ip = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  endpoint.port = port;
  return endpoint;
}

}  // namespace

TEST_CASE("a SOCKS5 address has the bytes of RFC 1928") {
  CHECK(encoded(socks5_endpoint(ipv4(192, 0, 2, 1, 443))) ==
        std::vector<std::uint8_t>{1, 192, 0, 2, 1, 0x01, 0xbb});
  CHECK(encoded(socks5_endpoint(ipv6(80))) ==
        std::vector<std::uint8_t>{4, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x00, 0x50});
  CHECK(encoded(*socks5_name("ab.c", 258)) == std::vector<std::uint8_t>{3, 4, 'a', 'b', '.', 'c', 1, 2});
}

TEST_CASE("a SOCKS5 address is read back, and every truncation of it is incomplete") {
  for (const Socks5Address& address :
       {socks5_endpoint(ipv4(127, 0, 0, 1, 1)), socks5_endpoint(ipv6(65535)), *socks5_name("x", 0),
        *socks5_name(std::string(Socks5Address::kMaxName, 'n'), 53)}) {
    std::vector<std::uint8_t> bytes = encoded(address);
    CHECK(bytes.size() <= Socks5Address::kMaxSize);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK(read_socks5_address(Bytes(bytes).first(size)).status == Status::kIncomplete);
    bytes.push_back(0);  // what follows is left alone
    const Socks5AddressInput input = read_socks5_address(bytes);
    CHECK(input.status == Status::kComplete);
    CHECK(input.size == bytes.size() - 1);
    CHECK(input.address == address);
  }
}

TEST_CASE("an IPv4-mapped IPv6 address in SOCKS5 is the IPv4 address") {
  std::vector<std::uint8_t> bytes{4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1, 0, 22};
  const Socks5AddressInput input = read_socks5_address(bytes);
  REQUIRE(input.status == Status::kComplete);
  CHECK(input.address == socks5_endpoint(ipv4(127, 0, 0, 1, 22)));
}

TEST_CASE("a SOCKS5 address of an unknown type, or with a name that is none, is recognised at once") {
  for (int type = 0; type < 256; ++type) {
    const std::uint8_t byte = static_cast<std::uint8_t>(type);
    const bool known = type == 1 || type == 3 || type == 4;
    CHECK(read_socks5_address(Bytes(&byte, 1)).status ==
          (known ? Status::kIncomplete : Status::kUnknownType));
  }
  CHECK(read_socks5_address(std::vector<std::uint8_t>{3, 0}).status == Status::kBadName);
  for (int c = 0; c < 256; ++c) {
    const std::vector<std::uint8_t> bytes{3, 9, 'a', static_cast<std::uint8_t>(c)};
    CHECK(read_socks5_address(bytes).status ==
          (c > ' ' && c < 0x7f ? Status::kIncomplete : Status::kBadName));
  }
}

TEST_CASE("SOCKS5 carries names of 1 to 255 printable characters") {
  CHECK_FALSE(socks5_name("", 1));
  CHECK(socks5_name(std::string(255, 'a'), 1));
  CHECK_FALSE(socks5_name(std::string(256, 'a'), 1));
  CHECK_FALSE(socks5_name("a b", 1));
  CHECK_FALSE(socks5_name(std::string_view("a\0b", 3), 1));
  CHECK_FALSE(socks5_name("\xc3\xa4.example", 1));
}

}  // namespace kcptun::socks5_address_test
