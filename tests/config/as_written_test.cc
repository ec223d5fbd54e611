// Settings as users and Go's kcptun write them, each with what became of it before it was taken.
#include "config/normalise.h"
#include "config/text.h"
#include "tests/config/support.h"

namespace kcptun::test::as_written_test {
namespace {

using Lines = std::vector<std::string>;

Lines warnings_with(const std::string& field, Role role = Role::kClient) {
  return warnings_of(run_json("{\"key\": \"k\", " + field + "}", role));
}

TEST_CASE("Numbers beyond their range that Go's kcptun takes are moved to its end, with a warning") {
  struct Row {
    std::string field, warning;
  };
  // Each was refused: "is out of range", "must be 0 or 1".
  for (const auto& row :
       std::vector<Row>{{"\"autoexpire\": -1", "autoexpire -1 is outside 0..2147483647; using 0"},
                        {"\"scavengettl\": -5", "scavengettl -5 is outside -1..2147483647; using -1"},
                        {"\"closewait\": -1", "closewait -1 is outside 0..2147483647; using 0"},
                        {"\"ratelimit\": -1", "ratelimit -1 is outside 0..4294967295; using 0"},
                        {"\"snmpperiod\": -1", "snmpperiod -1 is outside 0..2147483647; using 0"},
                        {"\"datashard\": -1", "datashard -1 is outside 0..255; using 0"},
                        {"\"parityshard\": -7", "parityshard -7 is outside 0..255; using 0"},
                        {"\"mode\": \"manual\", \"resend\": -1", "resend -1 is outside 0..65535; using 0"},
                        {"\"mode\": \"manual\", \"nodelay\": 2", "nodelay 2 is outside 0..1; using 1"},
                        {"\"mode\": \"manual\", \"nc\": 2", "nc 2 is outside 0..1; using 1"}}) {
    CHECK(warnings_with(row.field) == Lines{row.warning});
  }
  CHECK(profile_of(run_json(R"({"autoexpire": -1})")).autoexpire == Duration(0));
  CHECK(profile_of(run_flags({"--autoexpire", "-1"})).autoexpire == Duration(0));
  CHECK(profile_of(run_json(R"({"scavengettl": -5})")).scavengettl == std::nullopt);
  CHECK_FALSE(profile_of(run_json(R"({"datashard": -1})")).link.fec.enabled());
  CHECK(profile_of(run_json(R"({"mode": "manual", "nc": 2})")).link.kcp.tuning.no_congestion_control);
  CHECK(warnings_with("\"nodelay\": 2, \"nc\": 7, \"resend\": -1").empty());  // the mode says what they are
  CHECK(
      started(
          run_json(
              R"({"key": "0123456789abcdef", "tunnels": [{"name": "a", "autoexpire": -1, "remoteaddr": "h:1"}]})"))
          .warnings == Lines{"tunnel a: autoexpire -1 is outside 0..2147483647; using 0"});
  CHECK(refusal_line(run_json(R"({"autoexpire": 2147483648})"))
            .ends_with("2147483648 is out of range 0..2147483647"));
  CHECK(refusal_line(run_json(R"({"mode": "manual", "nodelay": -1})")).ends_with("-1 must be 0 or 1"));
}

TEST_CASE("aes-256 is aes, and other names are refused with what Go makes of them") {
  for (const auto& command : {run_flags({"--key", "0123456789abcdef", "--crypt", "aes-256"}),
                              run_json(R"({"key": "0123456789abcdef", "crypt": "aes-256"})")}) {
    CHECK(profile_of(command).crypt == Cipher::kAes);
    CHECK(warnings_of(command) == Lines{"crypt aes-256 is called aes; using aes, as Go's kcptun does"});
  }
  for (const std::string other : {"AES", "aes-512", "chacha20"})
    CHECK(refusal_line(run_flags({"--crypt", other}))
              .ends_with("; Go's kcptun takes every other name as aes: write aes"));
}

TEST_CASE("Addresses may have blanks around them wherever one is written, and --check shows them without") {
  const HostPort one{"h", 1, 1};
  CHECK(std::get<HostPort>(profile_of(run_json(R"({"remoteaddr": " h:1 "})")).remote) == one);
  CHECK(profile_of(run_json(R"({"remoteaddr": " h:1 , h:2 "})")).servers ==
        std::vector<HostPort>{one, {"h", 2, 2}});
  CHECK(profile_of(run_json(R"({"remoteaddr": [" h:1", "h:2\n"]})")).servers ==
        std::vector<HostPort>{one, {"h", 2, 2}});
  CHECK(refusal_line(run_flags({"-r", "h:1, h:1"})).ends_with("names \"h:1\" twice"));
  CHECK(std::get<HostPort>(profile_of(run_flags({"-l", " :1 "})).local_address).port_min == 1);
  CHECK(std::get<HostPort>(profile_of(run_flags({"-l", " :1-2 "}, Role::kServer)).local_address).port_max ==
        2);
  CHECK(std::get<UnixPath>(profile_of(run_flags({"-t", " /run/x "}, Role::kServer)).remote).path == "/run/x");
  CHECK(profile_of(run_flags({"--status", " :9 "})).status == Address{HostPort{"127.0.0.1", 9, 9}});
  CHECK(profile_of(run_flags({"--status", "  "})).status == std::nullopt);
  CHECK(printed(run_flags({"-r", " h:1 ", "--check"})).find("\"h:1\"") != std::string::npos);
}

TEST_CASE("A target that is no host and port is refused at the start") {
  const auto line = [](const std::string& target) {
    return refusal_line(run_flags({"-t", target}, Role::kServer));
  };
  // Both were taken for a unix path, and each connection failed.
  CHECK(line("http://h:1") == "kcptun-server: --target http://...: a URL: write host:port without http://");
  CHECK(line("udp://8.8.8.8:53") ==
        "kcptun-server: --target udp://...: asks for UDP, and a tunnel carries TCP: write host:port of a TCP "
        "service");
  CHECK(line("http://user:hush@h:1").find("hush") == std::string::npos);
  CHECK(std::get<HostPort>(profile_of(run_flags({"-t", "h:http"}, Role::kServer)).remote) ==
        HostPort{"h", 80, 80});
}

TEST_CASE("A client without a server's address is told so, and which fields were the server's") {
  const std::string example =
      "remoteaddr is not set, so the server is kcptun's example, vps:29900: set --remoteaddr, or remoteaddr "
      "in the "
      "file";
  CHECK(started(run_flags({"--key", "0123456789abcdef"})).warnings == Lines{example});
  CHECK(started(run_json(R"({"key": "0123456789abcdef", "listen": ":1", "target": "h:1"})")).warnings ==
        Lines{R"(x.json: field "listen" is for kcptun-server and is ignored)",
              R"(x.json: field "target" is for kcptun-server and is ignored)", example});
  CHECK(
      started(
          run_json(
              R"({"key": "0123456789abcdef", "tunnels": [{"name": "a", "localaddr": ":1"}, {"name": "b", "remoteaddr": "h:1"}]})"))
          .warnings == Lines{"tunnel a: " + example});
  CHECK(started(run_flags({"--key", "0123456789abcdef", "-r", "vps:29900"})).warnings.empty());
  CHECK(started(run_flags({"--key", "0123456789abcdef"}, Role::kServer)).warnings.empty());
}

TEST_CASE("No value that holds a pairing string is shown, whatever field it is in") {
  for (const auto& option : all_options()) {
    if (option.json.empty() || !option.applies_to(Role::kClient)) continue;
    const auto command = run_json("{\"" + std::string(option.json) + "\": \"see kcptun://v1/hush\"}");
    CHECK(refusal_line(command).find("hush") == std::string::npos);
  }
  CHECK(printable("a kcptun://v1/hush") == "a kcptun://...");
  CHECK(printable("http://") == "http://");
}

TEST_CASE("Characters are read as UTF-8 has them, and each other byte alone") {
  struct Row {
    std::string_view bytes;
    char32_t value;
    std::size_t size;
  };
  for (const auto& row :
       {Row{"A", 'A', 1}, Row{"\xc2\x80", 0x80, 2}, Row{"\xdf\xbf", 0x7ff, 2}, Row{"\xe0\xa0\x80", 0x800, 3},
        Row{"\xef\xbf\xbf", 0xffff, 3}, Row{"\xf0\x90\x80\x80", 0x10000, 4},
        Row{"\xf4\x8f\xbf\xbf", 0x10ffff, 4}, Row{"\xc1\xbf", kNoCharacter, 1},
        Row{"\xe0\x9f\xbf", kNoCharacter, 1}, Row{"\xed\xa0\x80", kNoCharacter, 1},
        Row{"\xf0\x8f\xbf\xbf", kNoCharacter, 1}, Row{"\xf4\x90\x80\x80", kNoCharacter, 1},
        Row{"\xff", kNoCharacter, 1}, Row{"\x80", kNoCharacter, 1}, Row{"\xe2\x80", kNoCharacter, 1},
        Row{"\xe2\x28\xa1", kNoCharacter, 1}}) {
    const Character c = first_character(row.bytes);
    CHECK(c.value == row.value);
    CHECK(c.size == row.size);
  }
  CHECK(valid_utf8("a\xff\xfe\u00e9\xe2\x80") == "a\ufffd\ufffd\u00e9\ufffd\ufffd");
  CHECK(without_blanks(" \t\u3000a b\u00a0\r\n\ufeff") == "a b");
  CHECK(without_blanks(" \u2003 ").empty());
  CHECK(without_blanks("").empty());
}

}  // namespace
}  // namespace kcptun::test::as_written_test
