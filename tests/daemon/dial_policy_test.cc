// Which targets clients may name: no spelling of a private address passes a rule that does not name it.
#include "daemon/engine/dial_policy.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "daemon/net/address.h"

namespace kcptun::dial_policy_test {
namespace {

constexpr std::uint16_t kPort = 443;

DialRules rules(const std::string& allow, const std::string& deny = {}) {
  const auto allowed = parse_dial_rules(allow);
  const auto denied = parse_dial_rules(deny);
  INFO(allow << " / " << deny);
  REQUIRE(allowed.ok());
  REQUIRE(denied.ok());
  return {allowed.value(), denied.value()};
}

NamedTarget named(const std::string& name, std::uint16_t port = kPort,
                  DialProtocol over = DialProtocol::kTcp) {
  return {socks5_name(name, port).value(), over};
}
NamedTarget addressed(const std::string& ip, std::uint16_t port = kPort) {
  return {socks5_endpoint(parse_ip(ip, port).value()), DialProtocol::kTcp};
}

/// What the server does with a request for an address, or for a name that resolves to `resolved`.
bool permits(const DialRules& by, const NamedTarget& target, const std::string& resolved = {}) {
  const DialPolicy policy(by);
  if (!target.is_name()) return policy.permits(target, target.address);
  return policy.may_resolve(target) && policy.permits(target, parse_ip(resolved, target.port).value());
}

const std::vector<std::string> kPrivate{"127.0.0.1",
                                        "127.255.255.254",
                                        "0.0.0.0",
                                        "10.0.0.1",
                                        "172.16.0.1",
                                        "192.168.1.1",
                                        "169.254.169.254",
                                        "100.64.0.1",
                                        "100.100.100.200",
                                        "168.63.129.16",
                                        "192.0.0.192",
                                        "224.0.0.1",
                                        "255.255.255.255",
                                        "::",
                                        "::1",
                                        "::127.0.0.1",
                                        "::ffff:127.0.0.1",
                                        "::ffff:10.0.0.1",
                                        "fc00::1",
                                        "fd00:ec2::254",
                                        "fe80::1",
                                        "ff02::1",
                                        "64:ff9b::127.0.0.1",
                                        "64:ff9b::10.0.0.1",
                                        "64:ff9b::169.254.169.254",
                                        "64:ff9b:1::1",
                                        "2002:7f00:1::",
                                        "2002:a00:1::",
                                        "2002:a9fe:a9fe::1"};
const std::vector<std::string> kPublic{"8.8.8.8", "2606:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::1"};

}  // namespace

TEST_CASE("without a rule of allow nothing is permitted") {
  for (const std::string& deny : {std::string(), std::string("10.0.0.0/8")}) {
    CHECK_FALSE(permits(rules("", deny), addressed("8.8.8.8")));
    CHECK_FALSE(permits(rules("", deny), named("example.com"), "8.8.8.8"));
  }
}

TEST_CASE("wide rules never cover private addresses, whatever name or spelling has them") {
  for (const char* allow :
       {"*", "public", "0.0.0.0/0,::/0", "*.example.com,*", "0.0.0.0/1,128.0.0.0/1,8000::/1"}) {
    const DialRules by = rules(allow);
    for (const std::string& address : kPrivate) {
      INFO(allow << " " << address);
      CHECK_FALSE(permits(by, addressed(address)));
      CHECK_FALSE(permits(by, named("a.example.com"), address));
      CHECK_FALSE(permits(by, named(address)));  // an address where a name is expected
      CHECK_FALSE(permits(by, named(address + '.')));
    }
  }
  for (const std::string& address : kPublic) {
    INFO(address);
    CHECK(permits(rules("*"), addressed(address)));
    CHECK(permits(rules("public"), named("a.example.com"), address));
    CHECK(permits(rules("*.example.com"), named("a.example.com"), address));
    CHECK(permits(rules("0.0.0.0/0,::/0"), named("a.example.com"), address));
  }
}

TEST_CASE("names that are numbers are never resolved") {
  const DialRules by = rules("*,127.0.0.0/8,0.0.0.0/0");
  for (const char* name :
       {"2130706433", "0x7f000001", "0X7F000001", "017700000001", "0177.0.0.1", "0x7f.0.0.1", "127.1",
        "127.0.1", "127.0.0.1.1", "10.0.0.256", "0x7f.1", "1.2.3.0x4", "2130706433.", "0x", "00.0.0.0"}) {
    INFO(name);
    CHECK_FALSE(permits(by, named(name), "127.0.0.1"));
    CHECK_FALSE(permits(by, named(name), "8.8.8.8"));
  }
  for (const char* name : {"1e100.net", "a0x1", "0x7g", "4chan.org"})
    CHECK(permits(by, named(name), "8.8.8.8"));
}

TEST_CASE("a rule that names a private network, address or host permits it, and nothing beside it") {
  CHECK(permits(rules("10.0.0.0/8"), addressed("10.1.2.3")));
  CHECK(permits(rules("10.1.2.0/24"), named("db.internal"), "10.1.2.3"));
  CHECK_FALSE(permits(rules("10.1.2.0/24"), addressed("10.1.3.3")));
  CHECK_FALSE(permits(rules("10.0.0.0/7"), addressed("10.1.2.3")));  // wider than the private network
  CHECK(permits(rules("10.0.0.0/7"), addressed("11.1.2.3")));
  CHECK(permits(rules("127.0.0.1"), addressed("::ffff:127.0.0.1")));  // the same address
  CHECK_FALSE(permits(rules("127.0.0.1"), addressed("127.0.0.2")));
  CHECK_FALSE(permits(rules("10.0.0.0/8"), addressed("64:ff9b::10.1.2.3")));
  CHECK(permits(rules("64:ff9b::10.0.0.0/104"), addressed("64:ff9b::10.1.2.3")));
  CHECK_FALSE(permits(rules("64:ff9b::/96"), addressed("64:ff9b::10.1.2.3")));
  CHECK(permits(rules("fd00::/8"), addressed("fd12::1")));
  CHECK(permits(rules("::1"), addressed("::1")));
  CHECK_FALSE(permits(rules("::/0"), addressed("::1")));

  CHECK(permits(rules("db.internal"), named("db.internal"), "10.0.0.5"));
  CHECK(permits(rules("db.internal"), named("DB.Internal."), "10.0.0.5"));
  CHECK_FALSE(permits(rules("db.internal"), addressed("10.0.0.5")));
  CHECK_FALSE(permits(rules("db.internal"), named("x.db.internal"), "10.0.0.5"));
  CHECK_FALSE(permits(rules("*.internal"), named("db.internal"), "10.0.0.5"));
}

TEST_CASE("ports and protocols limit a rule") {
  const DialRules by = rules("public:443,udp/public:53,a.example:8000-8080");
  CHECK(permits(by, addressed("8.8.8.8", 443)));
  CHECK_FALSE(permits(by, addressed("8.8.8.8", 442)));
  CHECK_FALSE(permits(by, addressed("8.8.8.8", 53)));
  CHECK(permits(by, named("dns.google", 53, DialProtocol::kUdp), "8.8.8.8"));
  CHECK(permits(by, named("a.example", 8080), "10.0.0.1"));
  CHECK_FALSE(permits(by, named("a.example", 8081), "10.0.0.1"));
  CHECK(permits(rules("10.0.0.1"), addressed("10.0.0.1", 0)));
  CHECK_FALSE(permits(rules("10.0.0.1:1-65535"), addressed("10.0.0.1", 0)));
}

TEST_CASE("deny wins over allow, by address, by name, and through translators") {
  CHECK_FALSE(permits(rules("*", "8.8.8.0/24"), addressed("8.8.8.8")));
  CHECK_FALSE(permits(rules("*", "8.8.8.0/24"), named("dns.google"), "8.8.8.8"));
  CHECK_FALSE(permits(rules("*", "8.8.8.0/24"), addressed("64:ff9b::8.8.8.8")));
  CHECK_FALSE(permits(rules("*", "8.8.8.0/24"), addressed("2002:808:808::1")));
  CHECK(permits(rules("*", "8.8.8.0/24"), addressed("8.8.4.4")));
  CHECK_FALSE(permits(rules("*", "*.ads.example"), named("x.ads.example"), "8.8.8.8"));
  CHECK(permits(rules("*", "*.ads.example"), named("ads.example"), "8.8.8.8"));
  CHECK_FALSE(permits(rules("*", "ads.example"), named("ADS.example."), "8.8.8.8"));
  CHECK_FALSE(permits(rules("*", "*:25"), addressed("8.8.8.8", 25)));
  CHECK(permits(rules("*", "*:25"), addressed("8.8.8.8", 26)));
  CHECK_FALSE(permits(rules("10.0.0.0/8", "*"), addressed("10.0.0.1")));
  CHECK_FALSE(permits(rules("10.0.0.0/8", "0.0.0.0/0"), addressed("10.0.0.1")));
  CHECK(permits(rules("10.0.0.0/8", "public"), addressed("10.0.0.1")));
}

TEST_CASE("of a name that has public and private addresses the public ones are permitted only") {
  const DialRules by = rules("public");
  CHECK(permits(by, named("both.example"), "8.8.8.8"));
  CHECK_FALSE(permits(by, named("both.example"), "192.168.0.1"));
}

TEST_CASE("a name is resolved only if a rule could permit it") {
  const auto may = [](const std::string& allow, const std::string& deny, const std::string& name) {
    const DialRules by = rules(allow, deny);
    return DialPolicy(by).may_resolve(named(name));
  };
  CHECK(may("10.0.0.0/8", "", "a.example"));
  CHECK(may("*.example", "", "a.example"));
  CHECK_FALSE(may("*.example", "", "a.test"));
  CHECK_FALSE(may("*:80", "", "a.test"));  // another port
  CHECK_FALSE(may("*", "*.test", "a.test"));
  CHECK_FALSE(may("*", "*", "a.test"));
}

TEST_CASE("a name in another spelling than rules have is not resolved, so that no rule is got past") {
  const DialRules by = rules("*", "db.example");
  CHECK(DialPolicy(by).may_resolve(named("_srv.other-1.example.")));
  for (const char* name : {"db.example..", ".db.example", "db..example", "d\\b.example", "\\100b.example",
                           "db.example%eth0", "db.example/", "db@example", "*.example"}) {
    INFO(name);
    CHECK_FALSE(DialPolicy(by).may_resolve(named(name)));
  }
}

TEST_CASE("a '*' in a pattern stands for any characters, or none") {
  for (const char* name : {"a.example", ".example", "a.b.example"}) CHECK(matches_pattern("*.example", name));
  for (const char* name : {"example", "a.example.com", "aexample"})
    CHECK_FALSE(matches_pattern("*.example", name));
  CHECK(matches_pattern("db-*.internal", "db-1.internal"));
  CHECK(matches_pattern("db-*.internal", "db-.internal"));
  CHECK_FALSE(matches_pattern("db-*.internal", "db.internal"));
  CHECK(matches_pattern("*a*b*", "xxaxxabb"));
  CHECK_FALSE(matches_pattern("*a*b", "ab."));
  CHECK(matches_pattern("**", ""));
  CHECK_FALSE(matches_pattern("", "a"));
  const std::string long_name(253, 'a');
  CHECK_FALSE(matches_pattern("*a*a*a*a*a*a*a*a*b", long_name));  // no exponential search
}

}  // namespace kcptun::dial_policy_test
