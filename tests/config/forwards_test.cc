#include "config/forwards.h"

#include "config/pairing.h"
#include "config/reload.h"
#include "tests/config/support.h"

namespace kcptun::test::forwards_test {
namespace {

Forward forward_of(std::string_view text) {
  const auto parsed = parse_forward(text);
  INFO(text << ": " << (parsed ? "" : parsed.error()));
  REQUIRE(parsed.ok());
  return parsed.value();
}

TEST_CASE("Each kind of forward is read and written back") {
  for (const char* text : {
           "tcp://127.0.0.1:5432=tcp://db.internal:5432",
           "tcp://:5432=tcp://[2001:db8::1]:5432",
           "unix:///run/db.sock=tcp://db.internal:5432",
           "unix://@db=tcp://192.0.2.1:1",
           "udp://127.0.0.1:53=udp://192.0.2.53:53",
           "socks5://127.0.0.1:1080",
           "socks5:///run/socks.sock",
           "http://[::1]:8080",
           "redirect://:1081",
           "tproxy://0.0.0.0:1082",
       })
    CHECK(to_text(forward_of(text)) == text);
}

TEST_CASE("A forward has its kind, its address and its target") {
  const Forward tcp = forward_of(" tcp://127.0.0.1:1 = tcp://db:2 ");
  CHECK(tcp.kind == ForwardKind::kTcp);
  CHECK(std::get<HostPort>(tcp.listen) == HostPort{"127.0.0.1", 1, 1});
  CHECK(tcp.target == HostPort{"db", 2, 2});
  CHECK(listen_text(tcp) == "tcp://127.0.0.1:1");
  const Forward socks = forward_of("socks5://@socks");
  CHECK(std::get<UnixPath>(socks.listen).path == "@socks");
  CHECK_FALSE(socks.target);
  CHECK(forward_of("tcp://:http=tcp://web:https").target->port_min == 443);
}

TEST_CASE("Each bad spelling of a forward has an error that shows a good one") {
  const auto error_of = [](std::string_view text) {
    const auto parsed = parse_forward(text);
    REQUIRE_FALSE(parsed.ok());
    return parsed.error();
  };
  const std::string schemes = "tcp://, unix://, udp://, socks5://, http://, redirect:// or tproxy://";
  CHECK(error_of("") == "is empty");
  CHECK(error_of("5432:db:5432") ==
        "does not begin with " + schemes + "; write one like tcp://127.0.0.1:5432=tcp://db.internal:5432");
  CHECK(error_of("socks://127.0.0.1:1080") == "does not begin with " + schemes);
  CHECK(error_of("tcp://:1") == "has no target; write one like tcp://127.0.0.1:5432=tcp://db.internal:5432");
  CHECK(error_of("udp://:1") == "has no target; write one like udp://127.0.0.1:53=udp://192.0.2.53:53");
  CHECK(error_of("socks5://:1=tcp://a:1") ==
        "has a target, and with socks5 each connection has its own; write one like socks5://127.0.0.1:1080");
  CHECK(error_of("tcp://:1=db:1") ==
        "has a target that does not begin with tcp://; write one like "
        "tcp://127.0.0.1:5432=tcp://db.internal:5432");
  CHECK(error_of("tcp://:1=udp://db:1").starts_with("has a target that does not begin with tcp://"));
  CHECK(error_of("udp://:1=tcp://db:1").starts_with("has a target that does not begin with udp://"));
  CHECK(error_of("tcp://:1=tcp://db") ==
        "has a target that has no port; the path of a unix socket has a "
        "slash, like ./db");
  CHECK(error_of("tcp://:1=tcp://db:0") == "has a target that has port 0");
  CHECK(error_of("tcp://:1=tcp://db:1-2") ==
        "has a target that has a port range where only one port can be "
        "used");
  CHECK(error_of("udp://:1=udp://db:1-2") == "has a target that has a port range");
  CHECK(error_of("tcp://:1=tcp://:2") == "has a target that has no host");
  CHECK(error_of("tcp://:1=tcp:///run/x") == "has a target that is a path; the server dials host:port only");
  CHECK(error_of("tcp://:1=tcp://[fe80::1%eth0]:2") ==
        "has a target with a zone, which means something on this machine only");
  CHECK(error_of("tcp://:1=tcp://" + std::string(256, 'a') + ":2") ==
        "has a target whose host is longer than 255 bytes");
  CHECK(error_of("tcp:///run/x=tcp://db:1") == "listens at a path, which begins with unix://");
  CHECK(error_of("unix://127.0.0.1:1=tcp://db:1").starts_with("has no path behind unix://"));
  CHECK(error_of("redirect:///run/x") == "listens at a path; write one like redirect://:1081");
  CHECK(error_of("socks5://127.0.0.1") == "listens at an address that has no port");
  CHECK(error_of("socks5://:1-2") ==
        "listens at an address that has a port range where only one port can be used");
  CHECK(error_of("udp://:1-2=udp://db:1") == "listens at an address that has a port range");
}

TEST_CASE("A target's host may have 255 bytes, and no more") {
  const std::string text = "tcp://:1=tcp://" + std::string(255, 'a') + ":2";
  CHECK(forward_of(text).target->host.size() == 255);
}

TEST_CASE("Forwards come from repeated flags, and from one with commas") {
  const std::vector<std::string> wanted{"tcp://:1=tcp://a:2", "socks5://:3"};
  for (const auto& arguments : {std::vector<std::string>{"--forward", wanted[0], "--forward=" + wanted[1]},
                                std::vector<std::string>{"--forward", wanted[0] + ',' + wanted[1]}}) {
    const auto forwards = profile_of(run_flags(arguments)).forwards;
    REQUIRE(forwards.size() == 2);
    CHECK(to_text(forwards[0]) == wanted[0]);
    CHECK(to_text(forwards[1]) == wanted[1]);
  }
}

TEST_CASE("Forwards come from an array of objects or strings") {
  const auto forwards = profile_of(run_json(R"({"forwards": [{"listen": "tcp://:1", "target": "tcp://a:2"},
                                                 {"listen": "socks5://:3"}, "http://:4"]})"))
                            .forwards;
  REQUIRE(forwards.size() == 3);
  CHECK(to_text(forwards[0]) == "tcp://:1=tcp://a:2");
  CHECK(to_text(forwards[1]) == "socks5://:3");
  CHECK(to_text(forwards[2]) == "http://:4");
}

TEST_CASE("Each tunnel of several has its forwards") {
  const auto command = run_json(R"({"tunnels": [
      {"name": "a", "localaddr": ":1", "forwards": [{"listen": "socks5://:3"}]},
      {"name": "b", "forwards": [{"listen": "tcp://:4", "target": "tcp://a:2"}, {"listen": "http://:5"}]}]})");
  const auto& tunnels = started(command).tunnels;
  REQUIRE(tunnels.size() == 2);
  CHECK(tunnels[0].profile.forwards.size() == 1);
  CHECK(tunnels[0].profile.listens_at_local_address);
  CHECK(tunnels[1].profile.forwards.size() == 2);
  CHECK_FALSE(tunnels[1].profile.listens_at_local_address);
}

TEST_CASE("A wrong forward is named, not the whole list") {
  CHECK(
      refusal_line(run_flags({"--forward", "socks5://:1", "--forward", "tcp://:2=db"}))
          .starts_with("kcptun-client: --forward tcp://:2=db: has a target that does not begin with tcp://"));
  CHECK(refusal_line(run_json(R"({"forwards": [{"listen": "tcp://:2", "target": "tcp://db:0"}]})")) ==
        "kcptun-client: x.json: field \"forwards\": \"tcp://:2=tcp://db:0\" has a target that has port 0");
  CHECK(refusal_line(run_flags({"--forward", "socks5://:1,"})) ==
        "kcptun-client: --forward socks5://:1,: has an entry that is empty");
}

TEST_CASE("What may be a secret in a forward is not shown") {
  for (const char* text : {"socks5://user:SECRET@127.0.0.1:1080=", "kcptun://v1/SECRET"})
    CHECK(refusal_line(run_flags({"--forward", text})).find("SECRET") == std::string::npos);
}

TEST_CASE("An array of forwards with something else in it is refused") {
  const auto line = [](const std::string& array) {
    return refusal_line(run_json("{\"forwards\": " + array + "}"));
  };
  const std::string field = "kcptun-client: x.json: field \"forwards\": ";
  CHECK(line("[1]") == field + "[...] is not an array of objects with \"listen\" and \"target\"");
  CHECK(line("[[\"a\"]]") == field + "[...] is not an array of objects with \"listen\" and \"target\"");
  CHECK(line("[{}]") == field + "[...] has an object without \"listen\"");
  CHECK(line("[{\"listen\": 1}]") == field +
                                         "[...] has an object whose \"listen\" is a number, expected a "
                                         "string");
  CHECK(line("[{\"listen\": [\"x\"]}]") ==
        field + "[...] has an object whose \"listen\" is an array, expected a string");
  CHECK(line("[{\"listen\": \"a\", \"to\": \"b\"}]") ==
        field + "[...] has an object with \"to\", expected \"listen\" and \"target\"");
  CHECK(line("[{\"listen\": \"a\", \"listen\": \"b\"}]") ==
        field + "[...] has an object with two \"listen\"");
  CHECK(line("[{\"listen\": \"a=b\"}]") ==
        field + "[...] has an object whose \"listen\" has an =, which separates it from the target");
  CHECK(line("[\"a,b\"]") == field + "[...] has an entry with a comma; each entry is an element of its own");
  CHECK(line("1") == field + "1 is a number, expected an array");
  CHECK(line("{\"listen\": \"a\"}") == field + "{...} is an object, expected an array");
}

TEST_CASE("Two forwards at one place are refused, and one at localaddr") {
  CHECK(refusal_line(run_flags({"--forward", "socks5://:1,http://:1"})) ==
        "kcptun-client: --forward http://:1: listens where another forward does");
  CHECK(refusal_line(run_flags({"--forward", "unix://@a=tcp://a:1,socks5://@a"})) ==
        "kcptun-client: --forward socks5://@a: listens where another forward does");
  CHECK(refusal_line(run_flags({"-l", ":1", "--forward", "socks5://:1"})) ==
        "kcptun-client: --forward socks5://:1: listens at localaddr");
  CHECK(refusal_line(run_flags({"--forward", "tcp://:1=tcp://a:1,udp://:1=udp://a:1"})) == "not refused");
  CHECK(refusal_line(run_flags({"--forward", "socks5://:0,http://:0"})) == "not refused");
}

TEST_CASE("There may be 64 forwards, and no more") {
  std::string text;
  for (std::size_t i = 1; i <= kMaxForwards; ++i)
    text += (i == 1 ? "socks5://:" : ",socks5://:") + std::to_string(i);
  CHECK(profile_of(run_flags({"--forward", text})).forwards.size() == 64);
  CHECK(refusal_line(run_flags({"--forward", text + ",http://:70"})) ==
        "kcptun-client: --forward http://:70: one more than 64 forwards");
}

TEST_CASE("With forwards localaddr is closed unless it is set") {
  CHECK(profile_of(run_flags({})).listens_at_local_address);
  CHECK_FALSE(profile_of(run_flags({"--forward", "socks5://:1"})).listens_at_local_address);
  CHECK(profile_of(run_flags({"--forward", "socks5://:1", "-l", ":2"})).listens_at_local_address);
  CHECK_FALSE(profile_of(run_flags({"--forward", "socks5://:1", "-l", ""})).listens_at_local_address);
  CHECK(refusal_line(run_flags({"-l", ""})) == "kcptun-client: --localaddr \"\": empty");
}

TEST_CASE("The rights of unix sockets hold for those of forwards") {
  CHECK(profile_of(run_flags({"--forward", "socks5:///run/a", "--localaddr-mode", "0660"})).local_mode ==
        0660);
  CHECK(refusal_line(run_flags({"--forward", "socks5://@a", "--localaddr-mode", "0660"})) ==
        "kcptun-client: --localaddr-mode 0660: needs a unix socket's path in localaddr or a forward");
}

TEST_CASE("--check prints forwards as -c takes them") {
  const auto fields =
      fields_of(printed(run_flags({"--check", "--forward", "tcp://:1=tcp://a:2,socks5://:3"})));
  CHECK(fields["forwards"] == nlohmann::json::parse(R"([{"listen": "tcp://:1", "target": "tcp://a:2"},
                                                        {"listen": "socks5://:3"}])"));
  CHECK(fields["localaddr"] == "");
  auto again = fields;
  again["key"] = "a key that is long enough";
  const auto profile = profile_of(run_json(again.dump()));
  CHECK(profile.forwards.size() == 2);
  CHECK_FALSE(profile.listens_at_local_address);
  CHECK(fields_of(printed(run_flags({"--check"})))["forwards"] == nlohmann::json::array());
}

TEST_CASE("A pairing string carries a client's forwards, and the server passes over them") {
  Settings client(Role::kClient);
  client.set(OptionId::kRemoteAddr, std::string("192.0.2.1:29900"), Source::kFlag);
  client.set(OptionId::kForward, std::string("tcp://:1=tcp://a:2,socks5://:3"), Source::kFlag);
  const std::string pairing = encode_pairing(client);
  const auto profile = profile_of(run_flags({"-c", pairing}));
  CHECK(profile.forwards.size() == 2);
  CHECK_FALSE(profile.listens_at_local_address);
  CHECK(warnings_of(run_flags({"-c", pairing}, Role::kServer)).size() ==
        warnings_of(run_flags({"-c", encode_pairing(Settings(client))}, Role::kServer)).size());
  CHECK(decode_pairing(pairing, Role::kServer).value().find("forwards") == std::string::npos);
}

TEST_CASE("An entrance that obeys everyone is warned of") {
  CHECK(
      warnings_of(run_flags({"--key", "a key that is long enough", "--forward", "socks5://:1"})) ==
      std::vector<std::string>{"forward socks5://:1 serves whoever reaches this machine: listen at 127.0.0.1 "
                               "unless that is meant"});
  CHECK(warnings_of(run_flags({"--key", "a key that is long enough", "--forward", "socks5://127.0.0.1:1"}))
            .empty());
}

TEST_CASE("The uplink's options are plain values that are checked") {
  const auto profile =
      profile_of(run_flags({"--bind", "192.0.2.7", "--interface", "eth0", "--fwmark", "0x10"}));
  CHECK(profile.bind_address == "192.0.2.7");
  CHECK(profile.interface == "eth0");
  CHECK(profile.fwmark == 16);
  CHECK(profile_of(run_flags({"--bind", "2001:db8::7"})).bind_address == "2001:db8::7");
  for (const char* bad : {"192.0.2", "192.0.2.7:1", "example.net", "[::1]"})
    CHECK(refusal_line(run_flags({"--bind", bad})) ==
          "kcptun-client: --bind " + std::string(bad) +
              ": must be an IPv4 or IPv6 address like 192.0.2.7 or 2001:db8::7");
  CHECK(refusal_line(run_flags({"--interface", "a23456789012345"})) == "not refused");
  CHECK(refusal_line(run_flags({"--interface", "a234567890123456"})) ==
        "kcptun-client: --interface a234567890123456: must be an interface's name of at most 15 bytes, like "
        "eth0");
  CHECK(refusal_line(run_flags({"--fwmark", "4294967295"})) == "not refused");
  CHECK(refusal_line(run_flags({"--fwmark", "4294967296"})) ==
        "kcptun-client: --fwmark 4294967296: out of range 0..4294967295");
  CHECK(profile_of(run_flags({})).hop == Duration(0));
  CHECK(profile_of(run_flags({"--hop", "86400"})).hop == std::chrono::hours(24));
  for (const char* bad : {"-1", "86401"})
    CHECK(refusal_line(run_flags({"--hop", bad})) ==
          "kcptun-client: --hop " + std::string(bad) + ": out of range 0..86400");
  CHECK(refusal_line(run_flags({"--hop=0", "--tcp"})) == "not refused");
  for (const char* flag : {"--bind=::1", "--interface=lo", "--fwmark=1", "--hop=1"})
    CHECK(
        refusal_line(run_flags({flag, "--tcp"})).ends_with("cannot be with tcp, whose sockets are raw ones"));
}

}  // namespace
}  // namespace kcptun::test::forwards_test
