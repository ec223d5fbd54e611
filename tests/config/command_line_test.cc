#include "config/command_line.h"

#include "config/suggest.h"
#include "tests/config/support.h"

namespace kcptun::test::command_line_test {
namespace {

using Arguments = std::vector<std::string>;

TEST_CASE("Every Go way of giving a value means the same") {
  for (const Arguments& arguments : {Arguments{"-mode", "fast3"},
                                     {"--mode", "fast3"},
                                     {"-mode=fast3"},
                                     {"--mode=fast3"},
                                     {"--mode=fast2", "-mode", "fast3"},
                                     {"-mode=fast3", "--"}}) {
    const auto command = run_flags(arguments);
    CHECK(profile_of(command).mode == "fast3");
    CHECK(profile_of(command).link.kcp.tuning.interval == milliseconds(10));
  }
}

TEST_CASE("A switch takes its value after an equals sign only") {
  for (const std::string on : {"", "=true", "=1", "=t", "=T", "=TRUE", "=True"}) {
    CHECK_FALSE(profile_of(run_flags({"-nocomp" + on})).link.compress);
    CHECK_FALSE(profile_of(run_flags({"--nocomp" + on, "--mode", "fast2"})).link.compress);
  }
  for (const std::string off : {"=false", "=0", "=f", "=F", "=FALSE", "=False"}) {
    CHECK(profile_of(run_flags({"-nocomp" + off})).link.compress);
    CHECK(profile_of(run_flags({"-nocomp", "-nocomp" + off})).link.compress);
  }
  CHECK(refusal_line(run_flags({"-nocomp=maybe"})) == "kcptun-client: --nocomp maybe: must be true or false");
  CHECK(refusal_line(run_flags({"-nocomp="})) == "kcptun-client: --nocomp: must be true or false");
  CHECK(refusal_line(run_flags({"-nocomp", "true", "-mode", "fast"})) ==
        "kcptun-client: \"true\": unexpected argument (a switch takes its value after '=', as in "
        "-nocomp=true)");
}

TEST_CASE("Short names work, and -l is each program's own") {
  const auto client = run_flags({"-l", ":1", "-r", "h:2", "-ds", "4", "--ps", "2"});
  CHECK(std::get<HostPort>(profile_of(client).local_address).port_min == 1);
  CHECK(std::get<HostPort>(profile_of(client).remote).host == "h");
  CHECK(profile_of(client).link.fec.data_shards == 4);
  CHECK(profile_of(client).link.fec.parity_shards == 2);
  const auto server = run_flags({"-l", ":1", "-t", "/run/x"}, Role::kServer);
  CHECK(std::get<HostPort>(profile_of(server).local_address).port_min == 1);
  CHECK(std::get<UnixPath>(profile_of(server).remote).path == "/run/x");
}

TEST_CASE("A value may look like a flag, be empty, or have brackets and equals signs") {
  for (const std::string key :
       {"-secret", "--", "--mode", "", "a=b", "[a,b]", "[]", "{x}", "\"q\"", " a b "}) {
    CHECK(profile_of(run_flags({"--key", key})).key == key);
    CHECK(profile_of(run_flags({"-key=" + key, "--conn", "2"})).key == key);
  }
  CHECK(profile_of(run_flags({"--scavengettl", "-1"})).scavengettl == std::nullopt);
  CHECK(profile_of(run_flags({"--log", ""})).log.file.empty());
}

TEST_CASE("mtu takes a number or the word auto, from each source, and --check shows it") {
  const auto flag = profile_of(run_flags({"--mtu", "auto"}));
  CHECK(flag.link.kcp.find_mtu);
  CHECK(flag.link.kcp.mtu == 1350);
  CHECK(profile_of(run_json(R"({"mtu": "auto"})")).link.kcp.find_mtu);
  CHECK_FALSE(profile_of(run_flags({"--mtu", "1350"})).link.kcp.find_mtu);
  CHECK_FALSE(profile_of(run_flags({})).link.kcp.find_mtu);
  CHECK(refusal_line(run_flags({"--mtu", "Auto"})) == "kcptun-client: --mtu Auto: not a whole number");
  CHECK(refusal_line(run_flags({"--dscp", "auto"})) == "kcptun-client: --dscp auto: not a whole number");
  CHECK(refusal_line(run_json(R"({"mtu": "1400"})")) ==
        "kcptun-client: x.json: field \"mtu\": \"1400\" is a string, expected a whole number or \"auto\"");
}

TEST_CASE("Numbers are decimal or hexadecimal, whole, and never guessed") {
  CHECK(profile_of(run_flags({"--mtu", "0x500"})).link.kcp.mtu == 1280);
  CHECK(profile_of(run_flags({"--mtu", "+1400"})).link.kcp.mtu == 1400);
  for (const std::string bad : {"abc", "", "1.5", "1e3", "010", "12x", "0x", "--5", "-", " 5", "5 "}) {
    const auto command = run_flags({"--mtu=" + bad});
    CHECK(refusal_line(command) ==
          "kcptun-client: --mtu " + (bad.empty() ? "\"\"" : bad) + ": not a whole number");
    CHECK(exit_code(command) == 2);
  }
  CHECK(refusal_line(run_flags({"--mtu", "99999999999999999999"})) ==
        "kcptun-client: --mtu 99999999999999999999: out of range 128..1500 or auto");
  CHECK(refusal_line(run_flags({"--mtu", "-9223372036854775807"})) ==
        "kcptun-client: --mtu -9223372036854775807: out of range 128..1500 or auto");
}

TEST_CASE("Usage errors are one line with exit code 2") {
  struct Row {
    Arguments arguments;
    std::string line;
  };
  const std::vector<Row> rows{
      {{"--nocmp"}, "--nocmp: unknown flag (did you mean --nocomp?)"},
      {{"-qpp"}, "-qpp: unknown flag (did you mean --QPP?)"},
      {{"-cx"}, "-cx: unknown flag"},
      {{"--wholly-else=3"}, "--wholly-else: unknown flag"},
      {{"--target", "x"}, "--target: unknown flag"},
      {{"---mode", "fast"}, "---mode: unknown flag (did you mean --mode?)"},
      {{"-V"}, "-V: unknown flag (did you mean -v?)"},
      {{"--V"}, "--V: unknown flag (did you mean -v?)"},
      {{"\u2013mode", "fast"}, "an argument begins with a dash (U+2013) where a flag has a hyphen"},
      {{"\u2014key=hush"}, "an argument begins with a dash (U+2014) where a flag has a hyphen"},
      {{"-key:hush"}, "-key...: unknown flag"},
      {{"--keyhush"}, "--key...: unknown flag"},
      {{"--k:hush"}, "--k...: unknown flag"},
      {{"--", "-key=hush"}, "-key: unexpected argument after --"},
      {{"-key", "my", "hush"},
       "unexpected argument behind a secret (hidden); a value with blanks stands in quotes"},
      {{"-key=my", "hush"},
       "unexpected argument behind a secret (hidden); a value with blanks stands in quotes"},
      {{"kcptun://v1/AAAA"}, "\"kcptun://...\": unexpected argument"},
      {{"-r", "kcptun://v1/AAAA"}, "--remoteaddr kcptun://...: a pairing string, which belongs to -c"},
      {{"-crypt", "kcptun://v1/AAAA", "-mode", "x"},
       "--crypt kcptun://...: must be one of " + value_hint(option_of(OptionId::kCrypt)) +
           "; Go's kcptun takes every other name as aes: write aes"},
      {{"--mode"}, "--mode: needs a value"},
      {{"-l"}, "--localaddr: needs a value"},
      {{"--conn", "2", "-c"}, "-c: needs a value"},
      {{"stray"}, "\"stray\": unexpected argument"},
      {{""}, "\"\": unexpected argument"},
      {{"-"}, "\"-\": unexpected argument"},
      {{"--=3"}, "\"--=3\": unexpected argument"},
      {{"--", "stray"}, "\"stray\": unexpected argument"},
      {{"--", "-quiet"}, "-quiet: unexpected argument after --"},
      {{"a\nb"}, "\"a\\x0ab\": unexpected argument"},
  };
  for (const auto& row : rows) {
    const auto command = run_flags(row.arguments);
    CHECK(refusal_line(command) == "kcptun-client: " + row.line);
    CHECK(exit_code(command) == 2);
  }
}

TEST_CASE("Normal form is a known flag and a value, pairwise, up to the first stranger") {
  const auto normal =
      normalise_arguments({"-ds=1", "-quiet", "--crypt", "-x", "what", "-mode", "fast"}, Role::kClient);
  CHECK(normal.words == Arguments{"--datashard", "1", "--quiet", "true", "--crypt", "-x"});
  CHECK(normal.unexpected == "what");
  CHECK_FALSE(normal.last_flag_is_secret);
  CHECK(normalise_arguments({"-key", "x", "y"}, Role::kClient).last_flag_is_secret);
  CHECK(normalise_arguments({}, Role::kServer).unexpected == std::nullopt);
}

TEST_CASE("The nearest name is found within two letters, and none is invented") {
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("QPP", "qpp") == 0);
  CHECK(nearest_name("modee", {"mtu", "mode"}) == "mode");
  CHECK(nearest_name("xy", {"mtu", "mode"}).empty());
  CHECK(nearest_name("", {"mtu"}).empty());
  CHECK(nearest_name(std::string(1000, 'x'), {"mtu"}).empty());
}

}  // namespace
}  // namespace kcptun::test::command_line_test
