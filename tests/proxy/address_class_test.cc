// Public and special addresses, in every form in which one can be written.
#include "core/proxy/address_class.h"

#include <arpa/inet.h>

#include <catch2/catch.hpp>
#include <string>

namespace kcptun::address_class_test {
namespace {

IpAddress ip(const std::string& text) {
  IpAddress address{};
  const std::string mapped = text.find(':') == text.npos ? "::ffff:" + text : text;
  REQUIRE(inet_pton(AF_INET6, mapped.c_str(), address.data()) == 1);
  return address;
}
bool is_special(const std::string& text) { return special_network(ip(text)).has_value(); }

}  // namespace

TEST_CASE("special networks end where their registry says") {
  for (const char* text : {"0.0.0.0",
                           "0.255.255.255",
                           "10.0.0.0",
                           "10.255.255.255",
                           "100.64.0.0",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.255.255.255",
                           "168.63.129.16",
                           "169.254.0.0",
                           "169.254.169.254",
                           "172.16.0.0",
                           "172.31.255.255",
                           "192.0.0.192",
                           "192.88.99.1",
                           "192.168.0.0",
                           "192.168.255.255",
                           "198.18.0.0",
                           "198.19.255.255",
                           "224.0.0.1",
                           "239.255.255.255",
                           "240.0.0.0",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "::127.0.0.1",
                           "64:ff9b:1::1",
                           "100::1",
                           "2001:0:1::",
                           "5f00::1",
                           "fc00::1",
                           "fd00:ec2::254",
                           "fdff::1",
                           "fe80::1",
                           "febf::1",
                           "fec0::1",
                           "ff02::1"}) {
    INFO(text);
    CHECK(is_special(text));
  }
  for (const char* text :
       {"1.0.0.0",         "9.255.255.255",   "11.0.0.0",      "100.63.255.255",  "100.128.0.0",
        "126.255.255.255", "128.0.0.1",       "168.63.129.15", "168.63.129.17",   "169.253.255.255",
        "169.255.0.0",     "172.15.255.255",  "172.32.0.0",    "192.0.1.0",       "192.167.255.255",
        "192.169.0.0",     "198.17.255.255",  "198.20.0.0",    "223.255.255.255", "2001:1::1",
        "2001:db8::1",     "2606:4700::1111", "2003::1",       "fb00::1"}) {
    INFO(text);
    CHECK_FALSE(is_special(text));
  }
}

TEST_CASE(
    "an address that embeds a special IPv4 address is special, and one that embeds a public one is not") {
  for (const char* text : {"64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3", "64:ff9b::169.254.169.254",
                           "2002:7f00:1::", "2002:a01:203::1", "2002:a9fe:a9fe::", "2002:c0a8:101:ffff::1"}) {
    INFO(text);
    CHECK(is_special(text));
  }
  for (const char* text : {"64:ff9b::8.8.8.8", "2002:808:808::1"}) {
    INFO(text);
    CHECK_FALSE(is_special(text));
    CHECK(embedded_ipv4(ip(text)) == ip("8.8.8.8"));
  }
  CHECK_FALSE(embedded_ipv4(ip("64:ff9b:0:0:0:1::")));
  CHECK_FALSE(embedded_ipv4(ip("8.8.8.8")));
}

TEST_CASE("the special network of an embedded address has the embedded network's addresses") {
  CHECK(special_network(ip("64:ff9b::10.1.2.3")) == IpNetwork{ip("64:ff9b::10.0.0.0"), 104});
  CHECK(special_network(ip("2002:a01:203::1")) == IpNetwork{ip("2002:a00::"), 24});
}

TEST_CASE("a network contains the addresses that begin with its bits") {
  const IpNetwork network{ip("172.16.0.0"), 96 + 12};
  CHECK(network.contains(ip("172.31.255.255")));
  CHECK_FALSE(network.contains(ip("172.32.0.0")));
  CHECK(network.contains(IpNetwork{ip("172.20.0.0"), 96 + 14}));
  CHECK_FALSE(network.contains(IpNetwork{ip("172.16.0.0"), 96 + 11}));
  CHECK(IpNetwork{{}, 0}.contains(ip("255.255.255.255")));
  CHECK(IpNetwork{ip("::1"), 128}.contains(ip("::1")));
  CHECK_FALSE(IpNetwork{ip("::1"), 128}.contains(ip("::3")));
}

}  // namespace kcptun::address_class_test
