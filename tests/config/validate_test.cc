#include "config/validate.h"
#include "config/profile_warnings.h"

#include "config/options.h"
#include "core/kcp/congestion_table.h"
#include "tests/config/support.h"

namespace kcptun::test::validate_test {
namespace {

std::string dashes(std::string_view flag) { return "--" + std::string(flag); }

/// The option at `n`, with what else is needed for it to be looked at and to stand alone.
ParsedCommand run_number(const Option& option, Role role, std::int64_t n) {
  std::vector<std::string> arguments{"--mode", "manual", dashes(option.flag), std::to_string(n)};
  if (option.id == OptionId::kSmuxBuf) arguments.insert(arguments.end(), {"--streambuf", "65536"});
  if (option.id == OptionId::kStreamBuf) arguments.insert(arguments.end(), {"--smuxbuf", "2147483647"});
  if (option.id == OptionId::kDataShard) arguments.insert(arguments.end(), {"--ps", "1"});
  if (option.id == OptionId::kParityShard) arguments.insert(arguments.end(), {"--ds", "1"});
  return run_flags(arguments, role);
}

std::string range_text(const Option& option) {
  const auto [min, max] = option.range;
  if (max - min == 1) return "must be " + std::to_string(min) + " or " + std::to_string(max);
  const std::string text = "out of range " + std::to_string(min) + ".." + std::to_string(max);
  return option.word.empty() ? text : text + " or " + std::string(option.word);
}

bool moves(const Option& option, std::int64_t n) {
  const auto beyond = beyond_range_of(option.id);
  return beyond == (n < option.range.min ? BeyondRange::kBelowIsMin : BeyondRange::kAboveIsMax);
}

TEST_CASE("Each number is taken at both ends of its range and refused one beyond") {
  for (const auto role : {Role::kClient, Role::kServer}) {
    for (const auto& option : all_options()) {
      if (option.kind != OptionKind::kNumber || !option.applies_to(role)) continue;
      if (option.id == OptionId::kInterval) continue;  // moved into its range instead
      INFO(option.flag);
      const auto [min, max] = option.range;
      CHECK(refusal_line(run_number(option, role, min)) == "not refused");
      CHECK(refusal_line(run_number(option, role, max)) == "not refused");
      for (const auto n : {min - 1, max + 1}) {
        if (moves(option, n)) {
          CHECK(warnings_of(run_number(option, role, n)).size() >= 1);
          continue;
        }
        const auto beyond = run_number(option, role, n);
        CHECK(refusal_line(beyond) == std::string(program_name(role)) + ": " + dashes(option.flag) + ' ' +
                                          std::to_string(n) + ": " + range_text(option));
        CHECK(exit_code(beyond) == 2);
      }
    }
  }
}

TEST_CASE("The ranges are the documented ones") {
  struct Row {
    OptionId id;
    std::int64_t min, max;
  };
  for (const auto& row : {Row{OptionId::kMtu, 128, 1500}, Row{OptionId::kSendWindow, 1, 65535},
                          Row{OptionId::kReceiveWindow, 1, 65535}, Row{OptionId::kDscp, 0, 63},
                          Row{OptionId::kKeepAlive, 1, 30}, Row{OptionId::kSmuxVersion, 1, 2},
                          Row{OptionId::kConn, 1, 65535}, Row{OptionId::kQppCount, 1, 65535},
                          Row{OptionId::kThreads, 0, 256}, Row{OptionId::kMaxSessions, 1, 1048576},
                          Row{OptionId::kMaxStreams, 1, 65536}, Row{OptionId::kDataShard, 0, 255},
                          Row{OptionId::kFrameSize, 1, 65535}, Row{OptionId::kInterval, 10, 5000}}) {
    INFO(option_of(row.id).flag);
    CHECK(option_of(row.id).range.min == row.min);
    CHECK(option_of(row.id).range.max == row.max);
  }
}

TEST_CASE("The two kinds of shards share 256") {
  CHECK(profile_of(run_flags({"--ds", "200", "--ps", "56"})).link.fec.data_shards == 200);
  const auto flags = run_flags({"--ds", "200", "--ps", "57"});
  CHECK(refusal_line(flags) ==
        "kcptun-client: --datashard 200: with parityshard 57 makes 257 shards, more than 256");
  CHECK(exit_code(flags) == 2);
  CHECK(refusal_line(run_flags({"--ps", "255"})) ==
        "kcptun-client: --parityshard 255: with datashard 10 makes 265 shards, more than 256");
  const auto file = run_json(R"({"datashard": 255})");
  CHECK(refusal_line(file) ==
        "kcptun-client: x.json: field \"datashard\": 255 with parityshard 3 makes 258 shards, more than 256");
  CHECK(exit_code(file) == 78);
  CHECK_FALSE(profile_of(run_flags({"--ds", "0"})).link.fec.enabled());
}

TEST_CASE("A stream's buffer is at most the session's") {
  CHECK(profile_of(run_flags({"--smuxbuf", "2097152"})).link.smux.stream_buffer == 2097152);
  CHECK(refusal_line(run_flags({"--smuxbuf", "2097151"})) ==
        "kcptun-client: --smuxbuf 2097151: smaller than streambuf 2097152");
  CHECK(refusal_line(run_flags({"--streambuf", "4194305"})) ==
        "kcptun-client: --streambuf 4194305: larger than smuxbuf 4194304");
}

TEST_CASE("A key of the form raw256: needs 256 bits where it is not stretched") {
  const std::string digits(42, 'A');
  const std::vector<std::string> ours{"--crypt", "xchacha20-poly1305"};
  const auto refusal = [&](const std::string& key, std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--key", key});
    return refusal_line(run_flags(flags));
  };
  CHECK(refusal("raw256:" + digits + 'A', ours) == "not refused");
  CHECK(refusal("raw256:" + digits, {"--crypt", "noise"}) != "not refused");
  for (const std::string& wrong : {digits, digits + "AA", digits + '+', digits + 'B', std::string()})
    CHECK(refusal("raw256:" + wrong, ours) ==
          "kcptun-client: --key (hidden): begins with raw256: and needs 43 letters, digits, hyphens and "
          "underscores behind it, as "
          "--genkey prints them");
  CHECK(refusal("raw256:" + digits, {"--crypt", "aes"}) == "not refused");
}

TEST_CASE("Unknown words for crypt and mode are refused with the choices") {
  CHECK(refusal_line(run_flags({"--crypt", "foo"})) ==
        "kcptun-client: --crypt foo: must be one of aes, aes-128, aes-192, sm4, twofish, blowfish, cast5, "
        "3des, tea, "
        "xtea, salsa20, xor, none, aes-128-gcm, null, xchacha20-poly1305, noise; Go's kcptun takes every "
        "other name "
        "as aes: "
        "write aes");
  CHECK(refusal_line(run_flags({"--crypt", ""}))
            .starts_with("kcptun-client: --crypt \"\": must be one of aes, "));
  CHECK(refusal_line(run_flags({"--mode=Fast"}, Role::kServer)) ==
        "kcptun-server: --mode Fast: must be one of normal, fast, fast2, fast3, manual");
  for (const auto& row : kCipherNames) {
    CHECK(profile_of(run_flags({"--crypt", std::string(row.name)})).crypt == row.cipher);
  }
}

TEST_CASE("crypt noise needs packets that have room for a handshake") {
  CHECK(refusal_line(run_flags({"--crypt", "noise", "--mtu", "255"})) ==
        "kcptun-client: --mtu 255: must be at least 256 with crypt noise");
  CHECK(refusal_line(run_json(R"({"crypt": "noise", "mtu": 128})")) ==
        "kcptun-client: x.json: field \"mtu\": 128 must be at least 256 with crypt noise");
  CHECK(profile_of(run_flags({"--crypt", "noise", "--mtu", "256"})).link.kcp.mtu == 256);
  CHECK(profile_of(run_flags({"--crypt", "noise", "--mtu", "auto"})).link.kcp.find_mtu);
  CHECK(profile_of(run_flags({"--mtu", "128"})).link.kcp.mtu == 128);
}

TEST_CASE("A mode sets the four knobs, and only manual leaves them to the user") {
  for (const auto& row : kModePresets) {
    const auto command = run_flags({"--mode", std::string(row.name), "--nodelay", "1", "--interval", "77",
                                    "--resend", "9", "--nc", "0"});
    const auto& tuning = profile_of(command).link.kcp.tuning;
    CHECK(tuning.nodelay == row.tuning.nodelay);
    CHECK(tuning.interval == row.tuning.interval);
    CHECK(tuning.resend == row.tuning.resend);
    CHECK(tuning.no_congestion_control == row.tuning.no_congestion_control);
  }
  const auto chosen =
      run_flags({"--mode", "manual", "--nodelay", "1", "--interval", "77", "--resend", "9", "--nc", "1"});
  const auto& tuning = profile_of(chosen).link.kcp.tuning;
  CHECK((tuning.nodelay && tuning.no_congestion_control && tuning.resend == 9));
  CHECK(tuning.interval == milliseconds(77));
  const auto plain = run_flags({"--mode", "manual"});
  CHECK_FALSE(profile_of(plain).link.kcp.tuning.no_congestion_control);
  CHECK(profile_of(plain).link.kcp.tuning.interval == milliseconds(50));
  CHECK(profile_of(plain).link.kcp.tuning.resend == 0);
}

TEST_CASE("With manual an interval outside 10..5000 is moved into it with a warning") {
  struct Row {
    std::string asked;
    int used;
  };
  for (const auto& row : {Row{"9", 10}, Row{"-5", 10}, Row{"5001", 5000}}) {
    const auto command = run_flags({"--key", "k", "--mode", "manual", "--interval", row.asked});
    CHECK(profile_of(command).link.kcp.tuning.interval == milliseconds(row.used));
    CHECK(warnings_of(command) ==
          std::vector<std::string>{"interval " + row.asked + " is outside 10..5000; using " +
                                   std::to_string(row.used)});
  }
  for (const std::string fits : {"10", "5000"}) {
    CHECK(warnings_of(run_flags({"--key", "k", "--mode", "manual", "--interval", fits})).empty());
  }
  CHECK(warnings_of(run_flags({"--key", "k", "--mode", "fast", "--interval", "1"})).empty());
}

TEST_CASE("Features that are missing are refused by name, and off values are not") {
  struct Row {
    std::vector<std::string> arguments;
    std::string line;
  };
  for (const auto& row : std::vector<Row>{
           {{"--pprof"},
            "--pprof: asks for Go's profiler, which this program does not have; use perf for profiles, "
            "SIGUSR1 or snmplog for counters"}}) {
    CHECK(refusal_line(run_flags(row.arguments)) == "kcptun-client: " + row.line);
    CHECK(exit_code(run_flags(row.arguments)) == 2);
  }
  CHECK(profile_of(run_flags({"--tcp"})).tcp);
  CHECK(profile_of(run_flags({"--tcp", "-l", ":1"}, Role::kServer)).tcp);
  CHECK(refusal_line(run_flags({"--tcp", "-l", ":0"}, Role::kServer)) ==
        "kcptun-server: --listen :0: needs a port with tcp, not 0");
  CHECK(warnings_of(
            run_flags({"--key=k", "--tcp=false", "--QPPCount", "7", "--snmpperiod", "5", "--snmplog", "x"}))
            .empty());
}

TEST_CASE("Port ranges are taken where sessions are listened for and dialled") {
  CHECK(std::get<HostPort>(profile_of(run_flags({"-l", ":3000-3100"}, Role::kServer)).local_address) ==
        HostPort{"", 3000, 3100});
  CHECK(std::get<HostPort>(profile_of(run_flags({"-r", "h:3000-3100"})).remote) == HostPort{"h", 3000, 3100});
}

TEST_CASE("Addresses are refused with flag and value") {
  CHECK(refusal_line(run_flags({"-r", ""})) == "kcptun-client: --remoteaddr \"\": empty");
  CHECK(refusal_line(run_flags({"-r", "vps"})) == "kcptun-client: --remoteaddr vps: has no port");
  CHECK(refusal_line(run_flags({"-t", "h:x"}, Role::kServer)) ==
        "kcptun-server: --target h:x: has a port that is neither a number in 1..65535 nor a service of this "
        "machine");
}

TEST_CASE("The public key and ciphers without secrecy draw one warning each") {
  const auto warnings = [](std::vector<std::string> arguments) { return warnings_of(run_flags(arguments)); };
  using Lines = std::vector<std::string>;
  const std::string public_key =
      "the key is kcptun's public default, known to everyone: set --key or KCPTUN_KEY";
  CHECK(warnings({}) == Lines{public_key});
  CHECK(warnings({"--key", "it's a secrect"}) == Lines{public_key});
  CHECK(warnings({"--key", "k"}).empty());
  CHECK(warnings({"--key", ""}) ==
        Lines{"the key is empty, so anyone can use this tunnel: set --key or KCPTUN_KEY"});
  const std::string open = " encrypts nothing: anyone on the path can read and change the traffic";
  CHECK(warnings({"--key", "k", "--crypt", "none"}) == Lines{"crypt none" + open});
  CHECK(warnings({"--key", "k", "--crypt", "null"}) == Lines{"crypt null" + open});
  CHECK(warnings({"--key", "k", "--crypt", "xor"}) ==
        Lines{"crypt xor keeps no secret: anyone on the path can read and change the traffic"});
}

TEST_CASE("QPP with a short key, few pads or an even count draws kcptun's warnings") {
  Profile profile;
  profile.qpp = true;
  profile.key = std::string(211, 'k');
  CHECK(profile_warnings(profile).empty());
  profile.key.pop_back();
  CHECK(profile_warnings(profile) ==
        std::vector<std::string>{"QPP: the key has 210 bytes, it should have at least 211"});
  profile.key = std::string(211, 'k');
  profile.qpp_count = 7;
  CHECK(profile_warnings(profile).empty());
  profile.qpp_count = 6;
  CHECK(profile_warnings(profile) ==
        std::vector<std::string>{"QPP: QPPCount 6 is small, it should be at least 7",
                                 "QPP: QPPCount 6 is even, it should be a prime number"});
}

TEST_CASE("A key that documents print, or one that can be guessed, draws a warning") {
  Profile profile;
  const auto warned = [&profile](std::string key) {
    profile.key = std::move(key);
    const auto lines = profile_warnings(profile);
    return lines.empty() ? std::string() : lines.front();
  };
  CHECK(warned("replace-this-by-a-long-random-secret").starts_with("the key is a placeholder"));
  CHECK(warned("SECRET").starts_with("the key is a placeholder"));
  CHECK(warned(std::string(11, 'k')).starts_with("the key has 11 bytes, so it can be guessed"));
  CHECK(warned(std::string(12, 'k')).empty());
}

TEST_CASE("Sessions that outlive their replacement by longer than autoexpire draw a warning") {
  Profile profile;
  profile.key = "0123456789abcdef";
  profile.autoexpire = seconds(5);
  profile.scavengettl = seconds(5);
  CHECK(profile_warnings(profile).empty());
  profile.scavengettl = seconds(6);
  CHECK(profile_warnings(profile).size() == 1);
  profile.scavengettl.reset();
  CHECK(profile_warnings(profile).size() == 1);
}

TEST_CASE("The status address is loopback unless it says otherwise, and needs a token elsewhere") {
  const std::string token = "0123456789abcdef";
  const auto status_of = [](std::vector<std::string> arguments) {
    return *profile_of(run_flags(std::move(arguments))).status;
  };
  CHECK(status_of({"--status", ":9090"}) == Address{HostPort{"127.0.0.1", 9090, 9090}});
  CHECK(status_of({"--status", "[::1]:0"}) == Address{HostPort{"::1", 0, 0}});
  CHECK(status_of({"--status", "localhost:1"}) == Address{HostPort{"localhost", 1, 1}});
  CHECK(status_of({"--status", "/run/s.sock"}) == Address{UnixPath{"/run/s.sock"}});
  CHECK_FALSE(profile_of(run_flags({})).status);
  for (const std::string host :
       {"0.0.0.0", "[::]", "192.0.2.1", "host.example", "127.evil.example", "[::2]"}) {
    CHECK(refusal_line(run_flags({"--status", host + ":9090"})) ==
          "kcptun-client: --status " + host + ":9090: not loopback, so it needs a status-token");
    CHECK(profile_of(run_flags({"--status", host + ":9090", "--status-token", token})).status_token == token);
  }
  CHECK(refusal_line(run_flags({"--status", "9090"})) ==
        "kcptun-client: --status 9090: has no host and no colon: write :9090");
  CHECK(refusal_line(run_flags({"--status", ":1-2"})) ==
        "kcptun-client: --status :1-2: has a port range where only one port can be used");
}

TEST_CASE("A status token has 16 to 256 characters that a header can hold, and is never shown") {
  const auto with = [](const std::string& token) { return run_flags({"--status-token", token}); };
  const std::string size = "kcptun-client: --status-token (hidden): must have 16..256 characters";
  CHECK(refusal_line(with(std::string(15, 'a'))) == size);
  CHECK(refusal_line(with(std::string(16, 'a'))) == "not refused");
  CHECK(refusal_line(with(std::string(256, 'a'))) == "not refused");
  CHECK(refusal_line(with(std::string(257, 'a'))) == size);
  CHECK(refusal_line(with("0123456789abcdef ")) ==
        "kcptun-client: --status-token (hidden): must be of letters, digits and -._~+/=");
  const auto check = printed(run_flags({"--check", "--status-token", "0123456789abcdef"}));
  CHECK(check.find("0123456789abcdef") == std::string::npos);
  CHECK(check.find(R"x("status-token": "(hidden)")x") != std::string::npos);
}

TEST_CASE("A client's remoteaddr names one server or several, as a flag and as a JSON array") {
  const std::vector<HostPort> two{{"a", 1, 1}, {"::1", 2, 5}};
  const Profile flags = profile_of(run_flags({"-r", "a:1,[::1]:2-5"}));
  CHECK(flags.servers == two);
  CHECK(flags.remote == Address{two[0]});
  CHECK(profile_of(run_json(R"({"remoteaddr": ["a:1", "[::1]:2-5"]})")).servers == two);
  CHECK(profile_of(run_json(R"({"remoteaddr": "a:1,[::1]:2-5"})")).servers == two);
  CHECK(profile_of(run_json(R"({"remoteaddr": ["a:1"]})")).servers == std::vector<HostPort>{{"a", 1, 1}});
  CHECK(profile_of(run_flags({"-r", "a:1"})).servers == std::vector<HostPort>{{"a", 1, 1}});
  CHECK(profile_of(run_json(R"({"tunnels": [{"name": "x", "remoteaddr": ["a:1", "[::1]:2-5"]}]})")).servers ==
        two);
  CHECK(profile_of(run_flags({}, Role::kServer)).servers.empty());
  std::string most = "a:1";
  for (std::size_t i = 2; i <= kMaxServers; ++i) most += ",a:" + std::to_string(i);
  CHECK(profile_of(run_flags({"-r", most})).servers.size() == kMaxServers);
  const std::string before = "kcptun-client: --remoteaddr ";
  CHECK(refusal_line(run_flags({"-r", most + ",b:1"})) == before + most + ",b:1: names more than 16 servers");
}

TEST_CASE("A bad list of servers is refused with the entry that is bad") {
  const auto refused = [](const std::string& list) { return refusal_line(run_flags({"-r", list})); };
  const std::string before = "kcptun-client: --remoteaddr ";
  CHECK(refused("a:1,b") == before + "a:1,b: names \"b\", which has no port");
  CHECK(refused("a:1,") == before + "a:1,: names \"\", which is empty");
  CHECK(refused("a:1,b:2,a:1") == before + "a:1,b:2,a:1: names \"a:1\" twice");
  CHECK(refusal_line(run_flags({"-r", "a:1,b:2", "--tcp"}))
            .find("names several servers, which tcp cannot have") != std::string::npos);
  CHECK(refusal_line(run_flags({"--init", "client", "-r", "a:1,b:2"}))
            .find("names several servers; --init makes") != std::string::npos);
  const std::string field = R"(x.json: field "remoteaddr": [...] )";
  for (const std::string bad : {"[]", "[1]", R"(["a:1", null])", R"(["a:1", ["b:2"]])"})
    CHECK(refusal_line(run_json(R"({"remoteaddr": )" + bad + "}"))
              .find(field + "is not an array of one or more strings") != std::string::npos);
  CHECK(refusal_line(run_json(R"({"remoteaddr": ["a:1,b:2"]})")).find(field + "has a string with a comma") !=
        std::string::npos);
  CHECK(refusal_line(run_json(R"({"remoteaddr": 5})")).find("expected a string or an array of strings") !=
        std::string::npos);
}

TEST_CASE("Words and help of cc are the rows of the table of congestion controllers") {
  std::string help = "congestion control";
  const char* separator = ": ";
  std::vector<std::string_view> words;
  for (const CongestionRow& row : congestion_table()) {
    words.push_back(row.name);
    help.append(separator).append(row.name).append(" ").append(row.help);
    separator = ", ";
    const auto link = profile_of(run_flags({"--cc", std::string(row.name), "--ratelimit", "5000"})).link;
    CHECK(link.kcp.tuning.congestion.name == row.name);
    CHECK(link.kcp.tuning.rate == 5000);
    CHECK(link.kcp.max_send_window == (row.window_grows(true) ? kMaxFollowingWindow : 0));
  }
  CHECK(choices_of(OptionId::kCongestion) == words);
  CHECK(help_of(option_of(OptionId::kCongestion)) == help);
}

TEST_CASE("cc fixed takes its rate from ratelimit, and is refused without one") {
  const auto nc_0 = run_flags({"--cc", "fixed", "--ratelimit", "1", "--mode", "manual", "--nc", "0"});
  CHECK(profile_of(nc_0).link.kcp.max_send_window == kMaxFollowingWindow);
  CHECK(profile_of(run_flags({"--ratelimit", "0"})).link.kcp.tuning.congestion == Congestion::kAuto);
  const auto none = run_flags({"--cc", "fixed"});
  CHECK(refusal_line(none) == "kcptun-client: --cc fixed: needs a ratelimit other than 0");
  CHECK(exit_code(none) == 2);
  CHECK(refusal_line(run_json(R"({"cc": "fixed"})")) ==
        "kcptun-client: x.json: field \"cc\": \"fixed\" needs a ratelimit other than 0");
  CHECK(refusal_line(run_json(R"({"cc": "fixed", "ratelimit": 0})")) ==
        "kcptun-client: x.json: field \"cc\": \"fixed\" needs a ratelimit other than 0");
}

TEST_CASE("Access to a unix localaddr: permissions in octal, only where there is a file") {
  const auto shared = run_flags(
      {"-l", "/run/kcptun/local", "--localaddr-mode", "0660", "--localaddr-group", "www"}, Role::kClient);
  CHECK(profile_of(shared).local_mode == 0660);
  CHECK(profile_of(shared).local_group == "www");
  CHECK(profile_of(run_flags({"-l", "/l", "--localaddr-mode", "0777"}, Role::kClient)).local_mode == 0777);
  for (const char* mode : {"1000", "0888", "rw", "00660", "-1"}) {
    INFO(mode);
    CHECK(refusal_line(run_flags({"-l", "/l", "--localaddr-mode", mode}, Role::kClient)) ==
          "kcptun-client: --localaddr-mode " + std::string(mode) +
              ": must be permissions in octal, 0 to 0777");
  }
  for (const char* address : {":12948", "@abstract"})
    CHECK(refusal_line(run_flags({"-l", address, "--localaddr-group", "www"}, Role::kClient)) ==
          "kcptun-client: --localaddr-group www: needs a unix socket's path in localaddr or a forward");
}

}  // namespace
}  // namespace kcptun::test::validate_test
