// The rules of --allow and --deny: each form, and the error of each mistake.
#include "config/dial_rules.h"

#include "tests/config/support.h"

namespace kcptun::test::dial_rules_test {
namespace {

using Kind = DialRule::Kind;

DialRule rule(const std::string& text) {
  const auto parsed = parse_dial_rule(text);
  INFO(text);
  REQUIRE(parsed.ok());
  return parsed.value();
}
std::string error(const std::string& text) {
  const auto parsed = parse_dial_rule(text);
  return parsed ? "no error" : parsed.error();
}
IpNetwork network(const std::string& text) { return rule(text).network; }

const Profile& server_profile(const ParsedCommand& command) {
  INFO(refusal_line(command));
  const auto* run = std::get_if<RunTunnels>(&command);
  REQUIRE(run != nullptr);
  return run->tunnels.front().profile;
}
ParsedCommand start_server(std::vector<std::string> arguments) {
  return run_flags(std::move(arguments), Role::kServer);
}

}  // namespace

TEST_CASE("A rule names a host, a pattern, an address, a network, public or everything") {
  CHECK(rule("*").kind == Kind::kAny);
  CHECK(rule("public").kind == Kind::kPublic);
  CHECK(rule("db.internal").kind == Kind::kName);
  CHECK(rule("*.example.com").kind == Kind::kPattern);
  CHECK(rule("Db.Internal.").name == "db.internal");
  CHECK(rule("*.EXAMPLE.com").name == "*.example.com");
  for (const char* text : {"10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "[::1]"})
    CHECK(rule(text).kind == Kind::kNetwork);
  CHECK(network("10.0.0.0/8").bits == 104);
  CHECK(network("192.0.2.1").bits == 128);
  CHECK(network("0.0.0.0/0").bits == 96);
  CHECK(network("::ffff:192.0.2.1") == network("192.0.2.1"));
  CHECK(network("fd00::/8").bits == 8);
  CHECK(network("::/0") == IpNetwork{});
}

TEST_CASE("A rule may have a port, a range of ports and a protocol") {
  const DialRule any = rule("a.example");
  CHECK(any.port_min == 0);
  CHECK(any.port_max == 65535);
  CHECK(any.tcp);
  CHECK(any.udp);
  const DialRule range = rule("udp/public:1000-2000");
  CHECK(range.kind == Kind::kPublic);
  CHECK_FALSE(range.tcp);
  for (const bool first : {true, false}) {
    const std::uint16_t inside = first ? 1000 : 2000, outside = first ? 999 : 2001;
    CHECK(range.applies_to(DialProtocol::kUdp, inside));
    CHECK_FALSE(range.applies_to(DialProtocol::kUdp, outside));
  }
  CHECK_FALSE(range.applies_to(DialProtocol::kTcp, 1500));
  CHECK_FALSE(rule("tcp/*:53").udp);
  for (const char* text : {"10.0.0.0/8:443", "[fd00::/8]:443", "[::1]:443", "a:443", "*:443", "*.a:443"}) {
    INFO(text);
    CHECK(rule(text).port_min == 443);
    CHECK(rule(text).port_max == 443);
  }
  CHECK(rule("fd00::/8").port_max == 65535);
  CHECK(rule("a:1-65535").port_max == 65535);
}

TEST_CASE("A rule that is none has an error of its own") {
  CHECK(error("") == "has no host");
  CHECK(error("tcp/") == "has no host");
  CHECK(error("tcp://a:1") == "is a URL; write tcp/host:port");
  for (const char* text : {"a:0", "a:65536", "a:", "a:x", "a:1-", "a:-1", "a:0-1", "*:+1"})
    CHECK(error(text) == "has a port that is not a number in 1..65535");
  CHECK(error("a:2-1") == "has a port range that runs backwards");
  CHECK(error("[::1") == "has no closing ]");
  CHECK(error("[fd00::]/8") == "has something other than a port behind its ]; a prefix length stands inside");
  CHECK(error("[a]") == "has no valid address before its /");
  CHECK(error("10.0.0.0/33") == "has no prefix length in 0..32");
  CHECK(error("fd00::/129") == "has no prefix length in 0..128");
  CHECK(error("10.0.0.1/8") == "has address bits behind its prefix");
  CHECK(error("fd00::1/8") == "has address bits behind its prefix");
  for (const char* text : {"2130706433", "0x7f000001", "127.1", "0177.0.0.1", "10.0.0.256", "a.0x7f"})
    CHECK(error(text) == "has a host that is a number but no address");
  CHECK(error("a..b") == "has a host with an empty label");
  CHECK(error(".a") == "has a host with an empty label");
  CHECK(error("a b").starts_with("has a host with a character"));
  CHECK(error("b\xc3\xbc"
              "cher.example")
            .find("xn--") != std::string::npos);
  CHECK(error(std::string(254, 'a')) == "has a host that is not of 1..253 characters");
  CHECK(error(std::string(253, 'a')) == "no error");
  CHECK(error("*.1") == "no error");
}

TEST_CASE("Rules have commas between, repeated flags add up, and a file has an array") {
  const auto rules = parse_dial_rules("a, tcp/b:1 ,10.0.0.0/8");
  REQUIRE(rules.ok());
  CHECK(rules.value().size() == 3);
  CHECK(parse_dial_rules("").value().empty());
  CHECK(parse_dial_rules("a,,b").error() == "has the rule \"\", which has no host");

  const auto flags = start_server({"-t", "socks5", "--allow", "a", "--allow=b,c", "--deny", "10.0.0.0/8"});
  CHECK(server_profile(flags).target_is_request);
  CHECK(server_profile(flags).dial_rules.allow == parse_dial_rules("a,b,c").value());
  CHECK(server_profile(flags).dial_rules.deny == parse_dial_rules("10.0.0.0/8").value());
  const auto file = run_json(R"({"target": "socks5", "allow": ["a", "b:1"], "deny": []})", Role::kServer);
  CHECK(server_profile(file).dial_rules.allow == parse_dial_rules("a,b:1").value());
  const auto text = run_json(R"({"target": "socks5", "allow": "a,b:1"})", Role::kServer);
  CHECK(server_profile(text).dial_rules == server_profile(file).dial_rules);
}

TEST_CASE("A list has at most 256 rules") {
  std::string text = "a";
  for (std::size_t i = 1; i < kMaxDialRules; ++i) text += ",a";
  CHECK(parse_dial_rules(text).value().size() == kMaxDialRules);
  CHECK(parse_dial_rules(text + ",a").error() == "has more than 256 rules");
  std::string array = R"({"target": "socks5", "allow": ["a")";
  for (std::size_t i = 1; i < kMaxDialRules; ++i) array += R"(,"a")";
  CHECK(server_profile(run_json(array + "]}", Role::kServer)).dial_rules.allow.size() == kMaxDialRules);
  CHECK(refusal_line(run_json(array + R"(,"a","a"]})", Role::kServer)).find("more than 256 rules") !=
        std::string::npos);
}

TEST_CASE("An open proxy, and a header that targets would not expect, are refused with an example") {
  CHECK(refusal_line(start_server({"-t", "socks5"})) ==
        "kcptun-server: --target socks5: needs allow, or nothing can be reached: for example --allow "
        "public:443");
  CHECK(refusal_line(start_server({"-t", "socks5", "--allow", "public", "--proxy-protocol", "v1"})) ==
        "kcptun-server: --proxy-protocol v1: needs one target, not socks5: other targets would not expect a "
        "header");
  CHECK(refusal_line(start_server({"--allow", "10.0.0.1/8"})) ==
        "kcptun-server: --allow 10.0.0.1/8: has the rule \"10.0.0.1/8\", which has address bits behind its "
        "prefix");
  CHECK(refusal_line(run_json(R"({"allow": ["a", "b:0"]})", Role::kServer)) ==
        "kcptun-server: x.json: field \"allow\": \"a,b:0\" has the rule \"b:0\", which has a port that is "
        "not a "
        "number in 1..65535");
  CHECK(refusal_line(run_json(R"({"allow": ["a,b"]})", Role::kServer))
            .find("each entry is an element of its own") != std::string::npos);
  CHECK(refusal_line(run_json(R"({"allow": [1]})", Role::kServer)).find("is not an array of strings") !=
        std::string::npos);
  CHECK(server_profile(start_server({})).target_header == TargetHeader::kNone);
  CHECK(server_profile(start_server({"--proxy-protocol", "v2"})).target_header == TargetHeader::kProxyV2);
}

}  // namespace kcptun::test::dial_rules_test
