#include "config/command.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/config/support.h"

namespace kcptun::test::command_test {
namespace {

TEST_CASE("Help is printed however it is asked for") {
  for (const std::string word : {"--help", "-help", "-h", "--h", "help", "h"}) {
    CHECK(printed(run_flags({word})).starts_with("Usage: kcptun-client [flags]\n"));
    CHECK(printed(run_flags({"--mode", "nonsense", word}, Role::kServer))
              .starts_with("Usage: kcptun-server [flags]\n"));
  }
}

TEST_CASE(
    "The version is printed as Go's kcptun has it, on one line, with our name and the libraries behind") {
  for (const std::string word : {"--version", "-version", "-v"}) {
    CHECK(printed(run_flags({word})) == "kcptun version " KCPTUN_VERSION " kcptun-uv (libuv 1.44)\n");
  }
  CHECK(printed(parse_command({.arguments = {"-v"}})) == "kcptun version " KCPTUN_VERSION " kcptun-uv\n");
}

TEST_CASE("A check prints a profile that can be pasted back, without the key") {
  const std::vector<std::string> arguments{"--key", "hush",   "--mode",    "manual", "--interval", "3",
                                           "-l",    "/run/x", "--threads", "2",      "--check"};
  const auto command = run_flags(arguments);
  const auto text = printed(command);
  CHECK(text.find("hush") == std::string::npos);
  CHECK(warnings_of(command) == std::vector<std::string>{"interval 3 is outside 10..5000; using 10"});
  const auto fields = fields_of(text);
  CHECK(fields["key"] == "(hidden)");
  CHECK(fields["interval"] == 10);
  CHECK(fields["localaddr"] == "/run/x");
  const auto again = run({.arguments = {"-c", "f", "--check"}, .files = {{"f", text}}});
  CHECK(fields_of(printed(again)) == fields);
  CHECK(warnings_of(again) ==
        std::vector<std::string>{
            "the key is a placeholder that documents or --check print: --genkey prints a good one"});
}

/// What the output of --check means when it is used as a file.
Profile checked_again(const std::vector<std::string>& arguments, Role role) {
  auto check = arguments;
  check.emplace_back("--check");
  return profile_of(
      run({.role = role, .arguments = {"-c", "f"}, .files = {{"f", printed(run_flags(check, role))}}}));
}

TEST_CASE("The output of a check, used as a file, behaves as what was checked") {
  using Arguments = std::vector<std::string>;
  for (const Role role : {Role::kClient, Role::kServer}) {
    for (const Arguments& arguments :
         {Arguments{}, Arguments{"--sndwnd", "300"}, Arguments{"--rcvwnd", "300"},
          Arguments{"--smuxbuf", "8388608"}, Arguments{"--streambuf", "65536"}, Arguments{"--cc", "kcp"},
          Arguments{"--mode", "normal"}, Arguments{"--mode", "manual", "--nc", "1"},
          Arguments{"--mtu", "auto"}, Arguments{"--sndwnd", "auto"},
          Arguments{"--smuxbuf", "auto", "--streambuf", "auto"}}) {
      const auto before = profile_of(run_flags(arguments, role));
      const auto after = checked_again(arguments, role);
      INFO(Catch::Detail::stringify(arguments));
      CHECK(after.link.kcp.send_window == before.link.kcp.send_window);
      CHECK(after.link.kcp.max_send_window == before.link.kcp.max_send_window);
      CHECK(after.link.kcp.receive_window == before.link.kcp.receive_window);
      CHECK(after.link.kcp.max_receive_window == before.link.kcp.max_receive_window);
      CHECK(after.link.smux.receive_buffer == before.link.smux.receive_buffer);
      CHECK(after.link.smux.stream_buffer == before.link.smux.stream_buffer);
      CHECK(after.link.smux.buffers_follow_window == before.link.smux.buffers_follow_window);
      CHECK(after.link.kcp.find_mtu == before.link.kcp.find_mtu);
      CHECK(after.link.kcp.tuning.interval == before.link.kcp.tuning.interval);
      CHECK(after.mode == before.mode);
    }
  }
}

TEST_CASE("A check marks what nobody has set, and says auto where the program chooses") {
  const auto text =
      printed(run_flags({"--mtu", "1200", "-r", "h:1", "--key", "kkkkkkkkkkkkkkkk", "--check"}));
  CHECK(text.find("  \"mtu\": 1200,\n") != std::string::npos);
  CHECK(text.find("  \"sndwnd\": \"auto\",  // default\n") != std::string::npos);
  CHECK(text.find("  \"streambuf\": \"auto\",  // default\n") != std::string::npos);
  CHECK(text.find("  \"interval\": 30,  // by mode\n") != std::string::npos);
  // Without a model of the path the window stays.
  CHECK(printed(run_flags({"--cc", "kcp", "--check"})).find("\"sndwnd\": 128,  // default\n") !=
        std::string::npos);
}

TEST_CASE("A number that loses against the file is named, with what the file has") {
  const auto warnings = [](std::vector<std::string> arguments, const std::string& file) {
    arguments.insert(arguments.end(), {"-c", "x.json"});
    return warnings_of(run({.arguments = std::move(arguments), .files = {{"x.json", file}}}));
  };
  using Lines = std::vector<std::string>;
  const std::string key = "\"key\": \"0123456789abcdef\"";
  CHECK(warnings({"--mtu", "1200", "--quiet"}, "{" + key + ", \"mtu\": 1350}") ==
        Lines{"--mtu 1200 is ignored: x.json has \"mtu\": 1350, and the file overrides flags"});
  CHECK(warnings({"--mtu", "1350"}, "{" + key + ", \"mtu\": 1350}").empty());
  CHECK(warnings({"--quiet"}, "{" + key + ", \"quiet\": false}") ==
        Lines{"--quiet is ignored: x.json has \"quiet\": false, and the file overrides flags"});
  CHECK(warnings({"--key", "hush-hush-hush-hush"}, "{" + key + "}") ==
        Lines{"--key (hidden) is ignored: x.json has \"key\": (hidden), and the file overrides flags"});
}

TEST_CASE("A variable, a plugin's option and a key file that lose against the file are named too") {
  const std::string key = "{\"key\": \"0123456789abcdef\"}";
  CHECK(warnings_of(run({.arguments = {"-c", "x.json"},
                         .environment_key = "another-key-of-24-bytes",
                         .files = {{"x.json", key}}})) ==
        std::vector<std::string>{
            "KCPTUN_KEY is ignored: x.json has \"key\": (hidden), and the file overrides it"});
  CHECK(warnings_of(run({.arguments = {"-c", "x.json", "--key-file", "k"}, .files = {{"x.json", key}}})) ==
        std::vector<std::string>{
            "--key-file k is ignored: x.json has \"key\": (hidden), and the file overrides flags"});
  const PluginEnvironment plugin{"192.0.2.1", "8388", "127.0.0.1", "1080", "c=x.json;mtu=1200"};
  CHECK(
      warnings_of(
          run({.files = {{"x.json", "{\"key\": \"0123456789abcdef\", \"mtu\": 1300}"}}, .plugin = plugin})) ==
      std::vector<std::string>{
          "mtu 1200 from SS_PLUGIN_OPTIONS is ignored: x.json has \"mtu\": 1300, and the file overrides it"});
}

TEST_CASE("A flag that loses against one tunnel of a file is named with the tunnel") {
  const auto command =
      run({.arguments = {"-c", "x.json", "--mtu", "1200"},
           .files = {{"x.json", R"json({"key": "0123456789abcdef", "remoteaddr": "h:1", "tunnels": [
                              {"name": "a", "localaddr": ":1"}, {"name": "b", "localaddr": ":2", "mtu": 1300}]})json"}}});
  CHECK(warnings_of(command) ==
        std::vector<std::string>{
            "tunnel b: --mtu 1200 is ignored: x.json has \"mtu\": 1300, and the file overrides flags"});
}

TEST_CASE("A probe takes a file or a pairing string") {
  const std::string file = R"json({"remoteaddr": "h:1", "crypt": "salsa20", "key": "0123456789abcdef"})json";
  const auto command = run({.arguments = {"probe", "-c", "x.json"}, .files = {{"x.json", file}}});
  CHECK(std::get<RunSubcommand>(command).profile.crypt == Cipher::kSalsa20);
  CHECK(printed(run_flags({"probe", "--help"})).find("probe -c FILE|STRING") != std::string::npos);
}

TEST_CASE("A check survives text that is not UTF-8") {
  CHECK(printed(run_flags({"--log", "\xff\xfe", "--check"})).find("\"log\"") != std::string::npos);
}

TEST_CASE("A check refuses what a start would refuse") {
  const auto command = run_flags({"--check", "--smuxver", "3"});
  CHECK(refusal_line(command) == "kcptun-client: --smuxver 3: must be 1 or 2");
  CHECK(exit_code(command) == 2);
}

TEST_CASE("A long or hostile value makes a short error of one line") {
  const auto line = refusal_line(run_flags({"--crypt", "\x1b[2J\n" + std::string(5000, 'x')}));
  CHECK(line.size() < 400);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(line.find('\x1b') == std::string::npos);
}

TEST_CASE("A subcommand is a first argument, of its program only, and has flags of its own") {
  const auto command = run_flags({"probe", "-r", "h:1", "--bandwidth", "50", "--duration", "3"});
  REQUIRE(std::holds_alternative<RunSubcommand>(command));
  const auto& run = std::get<RunSubcommand>(command);
  CHECK(run.id == SubcommandId::kProbe);
  CHECK(std::get<RunSubcommand>(run_flags({"bench", "-r", "h:1"})).id == SubcommandId::kBench);
  CHECK(std::get<HostPort>(run.profile.remote) == HostPort{"h", 1, 1});
  CHECK(run.settings.number(OptionId::kBandwidth) == 50);
  CHECK(printed(run_flags({"probe", "--help"})).find("kcptun-client probe -c FILE|STRING") !=
        std::string::npos);
  CHECK(printed(run_flags({"--help"})).find("kcptun-client top [--once] ADDRESS | -c FILE") !=
        std::string::npos);
  CHECK(printed(run_flags({"--help"}, Role::kServer)).find("kcptun-server top ") != std::string::npos);
  CHECK(refusal_line(run_flags({"probe"}, Role::kServer)) == "kcptun-server: \"probe\": unexpected argument");
  CHECK(refusal_line(run_flags({"-r", "h:1", "probe"})) == "kcptun-client: \"probe\": unexpected argument");
  CHECK(warnings_of(run_flags({"--key", "k", "--duration", "3"})) ==
        std::vector<std::string>{"--duration is ignored: it is for kcptun-client probe"});
  CHECK(exit_code(run_flags({"probe", "--duration", "0"})) == 2);
}

TEST_CASE("The border takes main's arguments and the environment's key") {
  REQUIRE(setenv("KCPTUN_KEY", "from the environment", 1) == 0);
  const char* const argv[] = {"kcptun-server", "-t", "h:1"};
  CHECK(profile_of(parse_command(Role::kServer, 3, argv, "")).key == "from the environment");
  REQUIRE(unsetenv("KCPTUN_KEY") == 0);
  CHECK(profile_of(parse_command(Role::kServer, 3, argv, "")).key == "it's a secrect");
  CHECK(profile_of(parse_command(Role::kServer, 0, nullptr, "")).role == Role::kServer);
}

TEST_CASE("The rest of the profile is what was asked for") {
  const auto command = run_flags({"--conn",
                                  "4",
                                  "--scavengettl",
                                  "7",
                                  "--closewait",
                                  "8",
                                  "--sockbuf",
                                  "4096",
                                  "--log",
                                  "x",
                                  "--quiet",
                                  "--snmplog",
                                  "./snmp-20060102.log",
                                  "--snmpperiod",
                                  "9",
                                  "--threads",
                                  "3",
                                  "--memory",
                                  "64",
                                  "--acknodelay",
                                  "--keepalive",
                                  "30",
                                  "--framesize",
                                  "1000"});
  const auto& profile = profile_of(command);
  CHECK(profile.conn == 4);
  CHECK(profile.scavengettl == seconds(7));
  CHECK(profile.closewait == seconds(8));
  CHECK(profile.sockbuf == 4096);
  CHECK(profile.log == LogSettings{"x", LogLevel::kInfo, LogFormat::kText, false});
  CHECK(profile.quiet);
  CHECK(profile.snmplog == "./snmp-20060102.log");
  CHECK(profile.snmpperiod == seconds(9));
  CHECK(profile.threads == 3);
  CHECK(profile.memory == 64);
  CHECK(profile.link.kcp.ack_nodelay);
  CHECK(profile.link.smux.keepalive == seconds(30));
  CHECK(profile.link.smux.frame_size == 1000);
  CHECK(profile_of(run_flags({}, Role::kServer)).closewait == seconds(30));
}

}  // namespace
}  // namespace kcptun::test::command_test
