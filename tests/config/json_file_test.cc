#include "config/json_file.h"

#include <random>

#include "tests/config/support.h"

namespace kcptun::test::json_file_test {
namespace {

// The files that kcptun ships as examples.
const std::string kClientExample = R"({
    "localaddr": ":2000",
    "remoteaddr": "11.22.33.44:2000",
    "key": "PASSWORD",
    "crypt": "aes-128",
    "mode": "fast3",
    "mtu": 1400,
    "sndwnd": 128,
    "rcvwnd": 1024,
    "datashard": 10,
    "parityshard": 3,
    "dscp": 46,
    "nocomp": true,
    "acknodelay": false,
    "nodelay": 1,
    "interval": 40,
    "resend": 2,
    "nc": 1,
    "sockbuf": 16777217,
    "smuxver": 1,
    "smuxbuf": 16777217,
    "streambuf": 2097152,
    "keepalive": 10,
    "autoexpire": 0,
    "quiet": false,
    "tcp": false
}
)";
const std::string kServerExample = R"({"listen": ":2000", "target": "127.0.0.1:9999", "key": "PASSWORD",
  "crypt": "aes-128", "mode": "fast3", "mtu": 1400, "sndwnd": 2048, "rcvwnd": 2048, "datashard": 10,
  "parityshard": 3, "dscp": 46, "nocomp": true, "acknodelay": false, "nodelay": 1, "interval": 40, "resend": 2,
  "nc": 1, "sockbuf": 16777217, "smuxver": 1, "smuxbuf": 16777217, "streambuf": 2097152, "keepalive": 10,
  "pprof":false, "quiet":false, "tcp":false})";

const std::vector<std::string> kPlaceholder{
    "the key is a placeholder that documents or --check print: --genkey prints a good one"};

TEST_CASE("kcptun's example for the client runs unchanged") {
  const auto command = run_json(kClientExample);
  CHECK(warnings_of(command) == kPlaceholder);
  const auto& profile = profile_of(command);
  CHECK(std::get<HostPort>(profile.local_address) == HostPort{"", 2000, 2000});
  CHECK(std::get<HostPort>(profile.remote) == HostPort{"11.22.33.44", 2000, 2000});
  CHECK(profile.key == "PASSWORD");
  CHECK(profile.crypt == Cipher::kAes128);
  CHECK(profile.link.kcp.mtu == 1400);
  CHECK(profile.link.kcp.tuning.interval == milliseconds(10));  // fast3's, not the file's
  CHECK(profile.link.kcp.receive_window == 1024);
  CHECK(profile.link.smux.version == 1);
  CHECK(profile.link.smux.receive_buffer == 16777217);
  CHECK_FALSE(profile.link.compress);
}

TEST_CASE("kcptun's example for the server runs unchanged") {
  const auto command = run_json(kServerExample, Role::kServer);
  CHECK(warnings_of(command) == kPlaceholder);
  CHECK(std::get<HostPort>(profile_of(command).remote) == HostPort{"127.0.0.1", 9999, 9999});
  CHECK(profile_of(command).link.kcp.send_window == 2048);
}

TEST_CASE("The file overrides flags, flags override the environment, which overrides the default") {
  Start start{.arguments = {"-mode", "fast2", "-conn", "3"}, .environment_key = "env"};
  CHECK(profile_of(run(start)).key == "env");
  start.arguments.insert(start.arguments.end(), {"-key", "flag"});
  CHECK(profile_of(run(start)).key == "flag");
  start.arguments.insert(start.arguments.end(), {"-c", "f"});
  start.files = {{"f", R"({"key": "file", "mode": "fast3"})"}};
  const auto command = run(start);
  CHECK(profile_of(command).key == "file");
  CHECK(profile_of(command).mode == "fast3");
  CHECK(profile_of(command).conn == 3);
  CHECK(profile_of(run({})).key == "it's a secrect");
  CHECK(profile_of(run({.environment_key = ""})).key.empty());
}

TEST_CASE("A malformed file is refused with line and column, and never quotes the key") {
  struct Row {
    std::string text, line;
  };
  const std::string wrong_word =
      "a word without quotes is true, false, null or a number; text stands in quotes";
  // Behind some: what was said before.
  const std::vector<Row> rows{
      {"", "1:1: the file is empty"},
      {" // nothing\n", "2:1: the file is empty"},
      {"{", "1:2: syntax error while parsing object key - unexpected end of input; expected string literal"},
      {"{\n  \"mtu\": 1350,\n}",
       "3:1: the comma before this is one too many"},  // unexpected '}'; expected string literal
      {"{\"a\": [1,]}", "1:10: the comma before this is one too many"},
      {"{\n\"key\": \"hush\n\"}",
       "2:8: the quote that ends this text is missing on its line"},  // control character U+000A
      {"{\"mtu\": 1e999}", "1:9: a number is out of range"},          // number overflow parsing '1e999'
      {"{\"mtu\": 1350\n  \"key\": \"hush\"}",
       "2:3: a comma is missing before this"},  // 2:7: unexpected string literal
      {"{\"key\": \"hush\" // \"\n  \"mtu\": 1}", "2:3: a comma is missing before this"},
      {"{\"a\": {} \"b\": 1}", "1:10: a comma is missing before this"},
      {"{\"remoteaddr\": [\"h:1\" \"h:2\"]}", "1:23: a comma is missing before this"},
      {"{\"a\": [1 2]}", "1:10: a comma is missing before this"},
      {"{\"mtu\" 1350}",
       "1:8: a colon is missing before this"},  // 1:11: unexpected number literal; expected ':'
      {"{\u201cmtu\u201d: 1}", "1:2: a curly quote (U+201C) stands where JSON has \""},  // invalid literal
      {"{\"mtu\": \u201cauto\u201d}", "1:9: a curly quote (U+201C) stands where JSON has \""},
      {"{\"key\": \"hush\u201d,\n\"mtu\": 1}",
       "1:9: the quote that ends this text is missing on its line; a curly quote (U+201D) ends none"},
      {"{\"mtu\"\uff1a1}", "1:7: a full-width colon (U+FF1A) stands where JSON has :"},
      {"{\"mtu\": 1\uff0c\"a\": 1}", "1:10: a full-width comma (U+FF0C) stands where JSON has ,"},
      {"{\u00a0\"mtu\": 1}", "1:2: a blank (U+00A0) that JSON does not know: write an ordinary one"},
      {"{\"mtu\": \u4e2d}", "1:9: the character U+4E2D cannot stand outside of quotes"},
      {"{'key': 'hush'}", "1:2: a single quote stands where JSON has \""},
      {"{key: \"hush\"}", "1:2: the name of a field stands in quotes"},
      {"{\"key\": hush}", "1:9: " + wrong_word},
      {"{\"nocomp\": True}", "1:12: " + wrong_word},
      {"# a\n{}", "1:1: a comment begins with //"},
      {"{\"mtu\" = 1350}", "1:8: an equals sign stands where JSON has a colon"},
      {"{\"key\": \"a\tb\"}", "1:9: a tab stands in quotes as \\t"},
      {std::string("{\0\"\0", 4), "1:2: a NUL byte stands here, as UTF-16 has them: save the file as UTF-8"},
      {"{\"a\": \"\xd6\xd0\" \"key\": \"hush\"}",
       "1:12: a comma is missing before this; the file is not in UTF-8"},
  };
  for (const auto& row : rows) {
    const auto command = run_json(row.text);
    CHECK(refusal_line(command) == "kcptun-client: x.json:" + row.line);
    CHECK(exit_code(command) == 78);
  }
  for (const std::string mark : {"\xff\xfe", "\xfe\xff"})
    CHECK(refusal_line(run_json(mark + std::string("{\0}\0", 4))) ==
          "kcptun-client: x.json is in UTF-16; save it as UTF-8");
}

TEST_CASE("Bytes that are not UTF-8 and text behind the object are read as Go reads them, with a warning") {
  using Lines = std::vector<std::string>;
  const std::string not_utf8 =
      ": bytes that are not UTF-8 are read as U+FFFD, as Go's kcptun does; save the file as UTF-8";
  // A remark in GBK: was "invalid string: ill-formed UTF-8 byte".
  CHECK(warnings_of(run_json("{\"key\": \"k\",\n\"remarks\": \"\xd6\xd0\"}")) ==
        Lines{"x.json:2:13" + not_utf8, "x.json: unknown field \"remarks\" is ignored"});
  CHECK(profile_of(run_json("{\"key\": \"\xd6\xd0k\"}")).key == "\ufffd\ufffdk");
  CHECK(warnings_of(run_json("{\"key\": \"\xd6\xd0k\"}")) == Lines{"x.json:1:10" + not_utf8});
  // Was "syntax error while parsing value".
  for (const std::string behind : {"x", "{\"mtu\": 1}", "}", ",", "\"hush", "\xff"}) {
    const auto command = run_json("{\"key\": \"k\", \"mtu\": 1400}\n // \n " + behind);
    CHECK(profile_of(command).link.kcp.mtu == 1400);
    CHECK(warnings_of(command).back() == "x.json:3:2: text behind the object is ignored");
  }
  for (const std::string nothing : {"", "\n\n", " // }\n", "/* } */"})
    CHECK(warnings_of(run_json("{\"key\": \"k\", \"a}\": null}" + nothing)).size() == 1);  // "a}" is unknown
  CHECK(warnings_of(run_json("\xef\xbb\xbf{\"key\": \"k\"}")).empty());
}

TEST_CASE("Every prefix and every changed byte of a broken file has one line that does not tell the key") {
  const std::string text =
      "{\n \"key\": \"hush-hush\", \"mtu\": \u201c1\u201d, 'x': [1 2,], // \xd6\n \"a\" = {}}} tail";
  const auto check = [](const std::string& broken) {
    const auto line = refusal_line(run_json(broken));
    INFO(line);
    CHECK(line.find('\n') == std::string::npos);
    CHECK(line.find("hush") == std::string::npos);
  };
  for (std::size_t size = 0; size <= text.size(); ++size) check(text.substr(0, size));
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    for (const char c : {'"', '\\', '}', '\n', '\xff', '\0'}) {
      changed[at] = c;
      check(changed);
    }
  }
}

TEST_CASE("A value of the wrong type is refused with file, field, value and what was expected") {
  struct Row {
    std::string text, line;
  };
  const std::vector<Row> rows{
      {R"({"mtu": "1350"})", R"(field "mtu": "1350" is a string, expected a whole number or "auto")"},
      {R"({"mtu": 1350.5})", R"(field "mtu": 1350.5 is a number, expected a whole number or "auto")"},
      {R"({"mtu": true})", R"(field "mtu": true is a boolean, expected a whole number or "auto")"},
      {R"({"mtu": [1]})", R"(field "mtu": [...] is an array, expected a whole number or "auto")"},
      {R"({"mtu": {"a": 1}})", R"(field "mtu": {...} is an object, expected a whole number or "auto")"},
      {R"({"mtu": 99999999999999999999})",
       R"(field "mtu": 99999999999999999999 is out of range 128..1500 or auto)"},
      {R"({"mtu": 18446744073709551615})",
       R"(field "mtu": 18446744073709551615 is out of range 128..1500 or auto)"},
      {R"({"nocomp": 1})", R"(field "nocomp": 1 is a number, expected true or false)"},
      {R"({"nocomp": "true"})", R"(field "nocomp": "true" is a string, expected true or false)"},
      {R"({"crypt": 3})", R"(field "crypt": 3 is a number, expected a string)"},
      {R"({"key": 12345})", R"(field "key": (hidden) is a number, expected a string)"},
      {R"({"keepalive": 31})", R"(field "keepalive": 31 is out of range 1..30)"},
      {R"({"smuxver": 3})", R"(field "smuxver": 3 must be 1 or 2)"},
      {R"({"mode": "fastest"})",
       R"(field "mode": "fastest" must be one of normal, fast, fast2, fast3, manual)"},
      {R"({"remoteaddr": "vps"})", R"(field "remoteaddr": "vps" has no port)"},
      {R"({"log": "a\u0000b"})", R"(field "log": "a\x00b" has a NUL byte)"},
      {R"([1])", "the top level is an array, expected an object"},
      {R"("x")", "the top level is a string, expected an object"},
      {R"(null)", "the top level is null, expected an object"},
  };
  for (const auto& row : rows) {
    const auto command = run_json(row.text);
    CHECK(refusal_line(command) == "kcptun-client: x.json: " + row.line);
    CHECK(exit_code(command) == 78);
  }
}

TEST_CASE("Unknown, foreign and repeated fields are warned of and do not stop the start") {
  struct Row {
    std::string text, warning;
  };
  const std::vector<Row> rows{
      {R"({"key":"k", "sndwn": 5})", R"(x.json: unknown field "sndwn" is ignored (did you mean "sndwnd"?))"},
      {R"({"key":"k", "QPPCount": 5})",
       R"(x.json: unknown field "QPPCount" is ignored (did you mean "qpp-count"?))"},
      {R"({"key":"k", "ds": 5})", R"(x.json: unknown field "ds" is ignored (did you mean "datashard"?))"},
      {R"({"key":"k", "_comment": {"a": [1, {"mtu": "x"}]}})",
       R"(x.json: unknown field "_comment" is ignored)"},
      {R"({"key":"k", "": 1})", R"(x.json: unknown field "" is ignored)"},
      {R"({"key":"k", "target": 1})", R"(x.json: field "target" is for kcptun-server and is ignored)"},
      {R"({"key":"k", "mtu": 1000, "mtu": 1100})",
       R"(x.json: field "mtu" stands there more than once; the last one counts)"},
      {R"({"key":"k", "mtu": 1000, "MTU": 1100})",
       R"(x.json: field "MTU" stands there more than once; the last one counts)"},
  };
  for (const auto& row : rows)
    CHECK(warnings_of(run_json(row.text)) == std::vector<std::string>{row.warning});
  CHECK(profile_of(run_json(R"({"mtu": 1000, "mtu": 1100})")).link.kcp.mtu == 1100);
}

TEST_CASE("As with Go's reader, case does not count and null changes nothing") {
  CHECK(profile_of(run_json(R"({"MTU": 1000, "RemoteAddr": "h:1"})")).link.kcp.mtu == 1000);
  CHECK(profile_of(run_json(R"({"mtu": null, "key": null})")).link.kcp.mtu == 1350);
}

TEST_CASE("A file that cannot be read is named") {
  const auto command = run_flags({"-c", "/nowhere.json"});
  CHECK(refusal_line(command) == "kcptun-client: /nowhere.json: cannot read: No such file or directory");
  CHECK(exit_code(command) == 78);
  CHECK(read_text_file("/").error() == "Is a directory");
  CHECK(read_text_file("/nowhere/at/all").error() == "No such file or directory");
  CHECK(read_text_file("/dev/zero").error() == "longer than 1 MiB");
  CHECK(read_text_file("/dev/null").value().empty());
  CHECK(std::holds_alternative<RunTunnels>(run_flags({"-c", ""})));
}

TEST_CASE("A file cut at any length is refused with a position, and nothing worse") {
  const auto whole = kClientExample.find_last_of('}') + 1;
  for (std::size_t length = 0; length < kClientExample.size(); ++length) {
    const auto command = run_json(kClientExample.substr(0, length));
    if (length >= whole) {  // and what is behind it may be cut
      CHECK(std::holds_alternative<RunTunnels>(command));
    } else {
      CHECK(refusal_line(command).starts_with("kcptun-client: x.json:"));
      CHECK(exit_code(command) == 78);
    }
  }
}

TEST_CASE("Random damage to a file never does more than refuse it") {
  const std::uint32_t seed = 20260201;
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 3000; ++round) {
    std::string text = kClientExample;
    for (int change = 0; change < 3; ++change) text[random() % text.size()] = static_cast<char>(random());
    const auto line = refusal_line(run_json(text));
    CHECK(line.find('\n') == std::string::npos);
  }
}

TEST_CASE("Nesting of hostile depth costs no stack") {
  CHECK(exit_code(run_json(std::string(500000, '['))) == 78);
  CHECK(exit_code(run_json("{\"a\":" + std::string(200000, '[') + std::string(200000, ']') + "}")) == 0);
}

// --- several tunnels ---

TEST_CASE(
    "Each tunnel of a file is a profile: its own fields over those beside them, over flags and defaults") {
  const auto command = run({.arguments = {"-c", "x.json", "--mtu", "1200", "--conn", "3"},
                            .files = {{"x.json", R"({"mtu": 1300, "key": "k", "tunnels": [
                              {"name": "home", "localaddr": ":1"}, {"name": "office-2", "mtu": 1400, "key": "other"}]})"}}});
  const auto& tunnels = started(command).tunnels;
  REQUIRE(tunnels.size() == 2);
  CHECK(started(command).several);
  CHECK(tunnels[0].profile.name == "home");
  CHECK(tunnels[0].profile.link.kcp.mtu == 1300);
  CHECK(tunnels[0].profile.key == "k");
  CHECK(tunnels[1].profile.name == "office-2");
  CHECK(tunnels[1].profile.link.kcp.mtu == 1400);
  CHECK(tunnels[1].profile.key == "other");
  for (const auto& tunnel : tunnels) CHECK(tunnel.profile.conn == 3);
}

TEST_CASE(
    "What is wrong with tunnels is one line that names the file, the tunnel, the field, value and range") {
  const std::string pair = R"({"name": "home"}, {"name": "office", )";
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"({"tunnels": 5})", R"(x.json: field "tunnels": 5 is a number, expected an array)"},
      {R"({"tunnels": {}})", R"(x.json: field "tunnels": {...} is an object, expected an array)"},
      {R"({"tunnels": []})", R"(x.json: field "tunnels" is empty, expected 1..1024)"},
      {R"({"tunnels": [{"name": "a"}, 7]})", "x.json: tunnels[1] is a number, expected an object"},
      {R"({"tunnels": [{}]})", R"(x.json: tunnels[0]: field "name" is missing)"},
      {R"({"tunnels": [{"name": ""}]})", R"(x.json: tunnels[0]: field "name" is missing)"},
      {R"({"tunnels": [{"name": 3}]})",
       R"(x.json: tunnels[0]: field "name": 3 is a number, expected a string)"},
      {R"({"tunnels": [{"name": "a b"}]})",
       R"(x.json: tunnels[0] (a b): field "name": "a b" must be at most 63)"},
      {R"({"tunnels": [{"name": "a"}, {"name": "a"}]})",
       R"(x.json: tunnels[1] (a): field "name": "a" is the name of tunnels[0] too)"},
      {R"({"tunnels": [)" + pair + R"("mtu": 99999}]})",
       R"(x.json: tunnels[1] (office): field "mtu": 99999 is out of range 128..1500)"},
      {R"({"tunnels": [)" + pair + R"("mtu": "big"}]})",
       R"(x.json: tunnels[1] (office): field "mtu": "big" is a string, expected a whole number)"},
      {R"({"mtu": 99999, "tunnels": [{"name": "a"}]})",
       R"(x.json: field "mtu": 99999 is out of range 128..1500)"},
      {R"({"tunnels": [)" + pair + R"("log": "x"}]})",
       R"(x.json: tunnels[1] (office): field "log" is of the whole process and belongs beside "tunnels")"},
      {R"({"tunnels": [)" + pair + R"("tunnels": []}]})",
       "x.json: tunnels[1] (office) has tunnels inside, which cannot be"},
      {R"({"name": "x", "tunnels": [{"name": "a"}]})", R"(x.json: field "name": "x" names one tunnel)"},
      {R"({"snmplog": "s", "tunnels": [{"name": "a"}, {"name": "b"}]})",
       R"(x.json: field "snmplog": "s" is written by tunnels[0] (a) too)"},
      {R"({"tunnels": [{"name": "a", "snmplog": "s"}, {"name": "b", "snmplog": "s"}]})",
       R"(x.json: tunnels[1] (b): field "snmplog": "s" is written by tunnels[0] (a) too)"},
  };
  for (const auto& [json, expected] : cases) {
    INFO(json);
    const auto line = refusal_line(run_json(json));
    CHECK(line.starts_with("kcptun-client: " + expected));
    CHECK(line.find('\n') == std::string::npos);
  }
  CHECK(refusal_line(
            run_json(R"({"quota-file": "q", "tunnels": [{"name": "a"}, {"name": "b"}]})", Role::kServer)) ==
        R"(kcptun-server: x.json: field "quota-file": "q" is written by tunnels[0] (a) too)");
  CHECK(refusal_line(run({.arguments = {"-c", "f", "--name", "x"},
                          .files = {{"f", R"({"tunnels": [{"name": "a"}]})"}}}))
            .find("--name x: names one tunnel") != std::string::npos);
}

TEST_CASE("Two tunnels of a file that listen on one address are one clear error") {
  const auto clash = [](const std::string& a, const std::string& b, Role role = Role::kClient) {
    return refusal_line(run_json(
        R"({"key": "k", "tunnels": [{"name": "a", )" + a + R"(}, {"name": "b", )" + b + "}]}", role));
  };
  const std::string one = R"("localaddr": "127.0.0.1:7000")", other = R"("localaddr": "127.0.0.1:7001")";
  CHECK(
      clash(one, one) ==
      R"(kcptun-client: x.json: tunnels[1] (b): field "localaddr": "127.0.0.1:7000" is where tunnels[0] (a) listens)");
  CHECK(
      clash(R"("localaddr": "/run/k")", R"("localaddr": "/run/k")").find("is where tunnels[0] (a) listens") !=
      std::string::npos);
  CHECK(clash(R"("listen": ":7-9")", R"("listen": ":7-9")", Role::kServer)
            .find(R"(field "listen": ":7-9" is)") != std::string::npos);
  const std::string forward = R"("forwards": [{"listen": "tcp://127.0.0.1:7000", "target": "tcp://h:1"}])";
  CHECK(clash(one, other + "," + forward).find("listens where tunnels[0] (a) does: tcp://127.0.0.1:7000") !=
        std::string::npos);
  // Each of these can be had, or only the kernel can tell.
  const std::string udp = R"("forwards": [{"listen": "udp://127.0.0.1:7000", "target": "udp://h:1"}])";
  CHECK(clash(one, other + "," + udp) == "not refused");
  CHECK(clash(one, R"("localaddr": ":7000")") == "not refused");
  CHECK(clash(R"("localaddr": "127.0.0.1:0")", R"("localaddr": "127.0.0.1:0")") == "not refused");
}

TEST_CASE("1024 tunnels are taken and 1025 are not") {
  const auto file = [](int count) {
    std::string text = R"({"key": "k", "tunnels": [)";
    for (int i = 0; i < count; ++i)
      text.append(i ? "," : "")
          .append(R"({"name": ")")
          .append(std::to_string(i))
          .append("\", \"localaddr\": \":0\"}");
    return text.append("]}");
  };
  CHECK(started(run_json(file(1024))).tunnels.size() == 1024);
  CHECK(refusal_line(run_json(file(1025))).find(R"(field "tunnels" has more than 1024 tunnels)") !=
        std::string::npos);
}

TEST_CASE("Warnings about a tunnel say which") {
  const auto command = run_json(
      R"({"tunnels": [{"name": "a", "localaddr": ":1", "mtuu": 5}, {"name": "b", "key": "k", "key": "k"}]})");
  const auto warnings = warnings_of(command);
  REQUIRE(warnings.size() == 3);
  CHECK(warnings[0] == R"(x.json: tunnels[0] (a): unknown field "mtuu" is ignored (did you mean "mtu"?))");
  CHECK(warnings[1].find("x.json: tunnels[1] (b): field \"key\" stands there more than once") == 0);
  CHECK(warnings[2].find("tunnel a: the key is kcptun's public default") == 0);
}

TEST_CASE("--check prints all tunnels as a file that says the same, with the keys hidden") {
  const std::string text =
      R"({"key": "secret", "threads": 2, "tunnels": [{"name": "a", "localaddr": ":1"}, {"name": "b", "mtu": 1400}]})";
  const auto command = run({.arguments = {"--check", "-c", "f"}, .files = {{"f", text}}});
  const std::string shown = printed(command);
  CHECK(shown.find("secret") == std::string::npos);
  const auto again = run_json(shown);
  REQUIRE(started(again).tunnels.size() == 2);
  CHECK(started(again).tunnels[1].profile.link.kcp.mtu == 1400);
  CHECK(started(again).tunnels[1].profile.threads == 2);
}

TEST_CASE("A name is 1 to 63 letters, digits, dots, underscores and hyphens") {
  const auto with = [](const std::string& name) {
    return refusal_line(run_flags({"--key", "k", "--name", name}));
  };
  CHECK(with(std::string(63, 'a')) == "not refused");
  CHECK(with("Az09._-") == "not refused");
  CHECK(with(std::string(64, 'a')).find("must be at most 63") != std::string::npos);
  for (const auto* bad : {"a b", "a/b", "\"", "a=b", "\xc3\xa4"})
    CHECK(with(bad).find("must be at most 63") != std::string::npos);
}

}  // namespace
}  // namespace kcptun::test::json_file_test
