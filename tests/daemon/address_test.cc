// Addresses: text, socket addresses, and back.
#include "daemon/net/address.h"

#include <net/if.h>
#include <catch2/catch.hpp>

#include <string>

namespace kcptun::address_test {
namespace {

TEST_CASE("address literals survive the way to text and back") {
  for (std::string text :
       {"1.2.3.4:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[::]:29900", "[2001:db8::1]:4000"}) {
    auto endpoint = parse_endpoint(text);
    INFO(text);
    REQUIRE(endpoint);
    CHECK(to_string(*endpoint) == text);
  }
}

TEST_CASE("a scope is an interface's name or number, and only link-local addresses have one") {
  auto named = parse_endpoint("[fe80::1%lo]:80");
  auto numbered = parse_endpoint("[fe80::1%1]:80");
  REQUIRE(named);
  REQUIRE(numbered);
  CHECK(*named == *numbered);
  CHECK(named->scope == if_nametoindex("lo"));
  CHECK(to_string(*named) == "[fe80::1%lo]:80");
  CHECK(to_string(*parse_endpoint("[fe80::1%4000000]:80")) == "[fe80::1%4000000]:80");
  CHECK_FALSE(parse_endpoint("[2001:db8::1%lo]:80"));
  CHECK_FALSE(parse_endpoint("[fe80::1%]:80"));
  CHECK_FALSE(parse_endpoint("[fe80::1%no-such-interface]:80"));
}

TEST_CASE("a missing host is the wildcard of both families") {
  auto endpoint = parse_endpoint(":4000");
  REQUIRE(endpoint);
  CHECK(is_wildcard(*endpoint));
  CHECK_FALSE(is_ipv4(*endpoint));
  CHECK(endpoint->port == 4000);
  CHECK(is_wildcard(*parse_endpoint("0.0.0.0:4000")));
  CHECK(is_ipv4(*parse_endpoint("0.0.0.0:4000")));
  CHECK_FALSE(is_wildcard(*parse_endpoint("[::1]:4000")));
  CHECK_FALSE(is_wildcard(*parse_endpoint("0.0.0.1:4000")));
}

TEST_CASE("malformed endpoints and names are not literals") {
  for (std::string text : {"", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+1",
                           "1.2.3.4: 1", "1.2.3:80", "1.2.3.256:80", "::1:80", "[::1]", "[::1:80", "::1]:80",
                           "[]:80", "[1.2.3.4]:80", "host:80", "[host]:80", "[::1]x:80", "1.2.3.4:80x"}) {
    INFO(text);
    CHECK_FALSE(parse_endpoint(text));
  }
  CHECK_FALSE(parse_ip(std::string_view("1.2.3.4\0x", 9), 80));
}

TEST_CASE("an endpoint truncated at every length is refused or means less") {
  const std::string whole = "[2001:db8::1]:4000";
  for (std::size_t length = 0; length < whole.size(); ++length) {
    auto endpoint = parse_endpoint(whole.substr(0, length));
    INFO(whole.substr(0, length));
    CHECK(endpoint.has_value() == (length > whole.find("]:") + 2));
  }
}

TEST_CASE("IPv4 is one endpoint, whether it came from an AF_INET or an AF_INET6 socket") {
  const IpEndpoint endpoint = *parse_endpoint("192.0.2.7:4000");
  const SocketAddress plain = to_sockaddr(endpoint, AF_INET);
  const SocketAddress mapped = to_sockaddr(endpoint, AF_INET6);
  CHECK(plain.storage.ss_family == AF_INET);
  CHECK(plain.size == sizeof(sockaddr_in));
  CHECK(mapped.storage.ss_family == AF_INET6);
  CHECK(mapped.size == sizeof(sockaddr_in6));
  CHECK(from_sockaddr(plain.get(), plain.size) == endpoint);
  CHECK(from_sockaddr(mapped.get(), mapped.size) == endpoint);
  CHECK(to_sockaddr(endpoint).storage.ss_family == AF_INET);
}

TEST_CASE("IPv6 endpoints keep their scope in socket addresses") {
  const IpEndpoint endpoint = *parse_endpoint("[fe80::7%1]:4000");
  const SocketAddress address = to_sockaddr(endpoint);
  CHECK(address.storage.ss_family == AF_INET6);
  CHECK(from_sockaddr(address.get(), address.size) == endpoint);
}

TEST_CASE("socket addresses too short for their family, or of another, are refused") {
  for (int family : {AF_INET, AF_INET6}) {
    const SocketAddress address = to_sockaddr(*parse_endpoint("192.0.2.7:4000"), family);
    for (socklen_t size = 0; size < address.size; ++size) CHECK_FALSE(from_sockaddr(address.get(), size));
  }
  SocketAddress other = to_sockaddr(*parse_endpoint("192.0.2.7:4000"));
  other.storage.ss_family = AF_UNIX;
  CHECK_FALSE(from_sockaddr(other.get(), sizeof other.storage));
}

}  // namespace
}  // namespace kcptun::address_test
