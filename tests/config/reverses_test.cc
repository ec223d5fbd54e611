// Reverse forwards and the rules of --allow-listen.
#include "config/reverses.h"

#include "config/pairing.h"
#include "tests/config/support.h"

namespace kcptun::test::reverses_test {
namespace {

IpEndpoint ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, std::uint16_t port) {
  IpEndpoint endpoint{.port = port};
  endpoint.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d};
  return endpoint;
}
IpEndpoint any_ipv6(std::uint16_t port) { return {.port = port}; }

std::string error_of(std::string_view text) {
  const auto parsed = parse_reverse(text);
  return parsed ? "no error" : parsed.error();
}
std::string rules_error(std::string_view text) {
  const auto parsed = parse_listen_rules(text);
  return parsed ? "no error" : parsed.error();
}
bool may(std::string_view rules, const IpEndpoint& address) {
  const auto parsed = parse_listen_rules(rules);
  INFO(rules);
  REQUIRE(parsed.ok());
  return may_listen(parsed.value(), address);
}

TEST_CASE("Each form of a reverse forward is read and written back") {
  for (const char* text : {"tcp://:8080=tcp://127.0.0.1:80", "tcp://127.0.0.1:1=tcp://db:2",
                           "tcp://[::1]:65535=unix:///run/web.sock", "tcp://0.0.0.0:22=unix://@ssh"}) {
    const auto parsed = parse_reverse(text);
    INFO(text);
    REQUIRE(parsed.ok());
    CHECK(to_text(parsed.value()) == text);
  }
}

TEST_CASE("Each bad spelling of a reverse forward has an error") {
  const std::string like = "; write one like tcp://:8080=tcp://127.0.0.1:80";
  CHECK(error_of("") == "is empty");
  CHECK(error_of("8080:127.0.0.1:80") == "does not begin with tcp://" + like);
  CHECK(error_of("udp://:1=udp://a:1") == "does not begin with tcp://" + like);
  CHECK(error_of("tcp://:8080") == "has no target" + like);
  CHECK(error_of("tcp://:0=tcp://a:1") == "listens at an address that has port 0");
  CHECK(error_of("tcp://example.net:1=tcp://a:1") ==
        "listens at a name; write an address of the server, or none for all");
  CHECK(error_of("tcp:///run/x=tcp://a:1") == "listens at a path; the server listens at ports only");
  CHECK(error_of("tcp://:1=a:1") == "has a target that begins neither with tcp:// nor with unix://" + like);
  CHECK(error_of("tcp://:1=tcp:///run/x") == "has a target that is a path, which begins with unix://");
  CHECK(error_of("tcp://:1=unix://a:1") == "has no path behind unix://");
  CHECK(error_of("tcp://:1=tcp://a") ==
        "has a target that has no port; the path of a unix socket has a slash, like ./a");
}

TEST_CASE("A client may have 16 reverse forwards, no two at one place") {
  std::vector<std::string> arguments;
  for (int i = 1; i <= 16; ++i) {
    arguments.emplace_back("--reverse");
    arguments.push_back("tcp://:" + std::to_string(i) + "=tcp://127.0.0.1:80");
  }
  const auto many = run_flags(arguments);
  const auto* run = std::get_if<RunTunnels>(&many);
  REQUIRE(run != nullptr);
  CHECK(run->tunnels.front().profile.reverses.size() == kMaxReverses);
  CHECK_FALSE(run->tunnels.front().profile.listens_at_local_address);
  arguments.insert(arguments.end(), {"--reverse", "tcp://:17=tcp://127.0.0.1:80"});
  CHECK(refusal_line(run_flags(arguments)).find("one more than 16 reverse forwards") != std::string::npos);
  CHECK(refusal_line(run_flags({"--reverse", "tcp://:1=tcp://a:1", "--reverse", "tcp://:1=tcp://b:1"}))
            .find("listens where another reverse forward does") != std::string::npos);
}

TEST_CASE("A listen rule names an address, a network or all addresses") {
  const IpEndpoint local = ipv4(127, 0, 0, 1, 8080);
  CHECK(may("127.0.0.1:8080", local));
  CHECK(may("127.0.0.1", local));
  CHECK(may("127.0.0.0/8:8000-9000", local));
  CHECK(may("*:8080", local));
  CHECK(may("192.0.2.1, *", local));
  CHECK_FALSE(may("", local));
  CHECK_FALSE(may("127.0.0.1:8081", local));
  CHECK_FALSE(may("127.0.0.2:8080", local));
  CHECK_FALSE(may("*:1-8079", local));
}

TEST_CASE("All addresses need a rule for all") {
  CHECK(may("*:80", any_ipv6(80)));
  CHECK(may("[::]:80", any_ipv6(80)));
  CHECK(may("0.0.0.0:80", ipv4(0, 0, 0, 0, 80)));
  CHECK_FALSE(may("127.0.0.1:80", any_ipv6(80)));
  CHECK_FALSE(may("0.0.0.0:80", any_ipv6(80)));
  CHECK_FALSE(may("10.0.0.0/8", ipv4(0, 0, 0, 0, 80)));
}

TEST_CASE("Names, words and protocols are no listen rules") {
  for (const char* rule : {"public", "localhost:80", "*.example.net", ":80"})
    CHECK(rules_error(rule) != "no error");
  CHECK(rules_error("example.net:80") ==
        "has the rule \"example.net:80\", which has no address of this server; write one like "
        "127.0.0.1:8080, or "
        "*:8080 for all");
  CHECK(rules_error("*,tcp/*:80") ==
        "has the rule \"tcp/*:80\", which begins with a protocol; only TCP can be listened on");
}

}  // namespace
}  // namespace kcptun::test::reverses_test
