#include "config/command.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/config/support.h"

namespace kcptun::test {
namespace {

TEST_CASE("Help is printed however it is asked for") {
  for (const std::string word : {"--help", "-help", "-h", "--h", "help", "h"}) {
    CHECK(printed(run_flags({word})).starts_with("Usage: kcptun-client [flags]\n"));
    CHECK(printed(run_flags({"--mode", "nonsense", word}, Role::kServer))
              .starts_with("Usage: kcptun-server [flags]\n"));
  }
}

TEST_CASE("The version is printed as Go's kcptun has it, on one line, with our name and the libraries behind") {
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
  CHECK(warnings_of(command) ==
        std::vector<std::string>{"interval 3 is outside 10..5000; using 10"});
  const auto fields = nlohmann::json::parse(text);
  CHECK(fields["key"] == "(hidden)");
  CHECK(fields["interval"] == 10);
  CHECK(fields["localaddr"] == "/run/x");
  const auto again = run({.arguments = {"-c", "f", "--check"}, .files = {{"f", text}}});
  CHECK(printed(again) == text);
  CHECK(warnings_of(again).empty());
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
  CHECK(printed(run_flags({"probe", "--help"})).find("kcptun-client probe [flags]") != std::string::npos);
  CHECK(printed(run_flags({"--help"})).find("kcptun-client top [--once] ADDRESS | -c FILE") != std::string::npos);
  CHECK(printed(run_flags({"--help"}, Role::kServer)).find("kcptun-server top ") != std::string::npos);
  CHECK(refusal_line(run_flags({"probe"}, Role::kServer)) == "kcptun-server: \"probe\": unexpected argument");
  CHECK(refusal_line(run_flags({"-r", "h:1", "probe"})) == "kcptun-client: \"probe\": unexpected argument");
  CHECK(warnings_of(run_flags({"--key", "k", "--duration", "3"})) == std::vector<std::string>{"--duration is ignored: it is for kcptun-client probe"});
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
}  // namespace kcptun::test
