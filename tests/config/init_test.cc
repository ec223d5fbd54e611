#include "config/init.h"

#include <nlohmann/json.hpp>

#include "config/json_file.h"
#include "config/pairing.h"
#include "tests/config/support.h"

namespace kcptun::test::init_test {
namespace {

const std::string kRandom(43, 'A');  // as --genkey prints

InitPair asked(std::vector<std::string> arguments, Role role = Role::kServer) {
  const auto command = run_flags(std::move(arguments), role);
  INFO(refusal_line(command));
  REQUIRE(std::holds_alternative<InitPair>(command));
  return std::get<InitPair>(command);
}

ProfilePair pair_of(const InitPair& init) {
  const auto made = make_pair_of(init, {.key = kRandom, .own_host = "2001:db8::7"});
  REQUIRE(std::holds_alternative<ProfilePair>(made));
  return std::get<ProfilePair>(made);
}

const Profile profile_in(const Settings& settings) {
  return profile_of(run_json(render_profile(settings, "x.json"), settings.role()));
}

void check_agreement(const ProfilePair& pair) {
  for (const auto& option : all_options()) {
    if (!must_agree(option.id)) continue;
    INFO(option.flag);
    CHECK(pair.client.value(option.id) == pair.server.value(option.id));
  }
}

TEST_CASE("Both profiles of a pair start as they are, without a warning, and agree") {
  const auto init = asked({"--init", "server", "-l", ":4000", "-t", "127.0.0.1:80"});
  CHECK(init.wants_key);
  CHECK(init.wants_address);
  CHECK(init.path == "server.json");
  const auto pair = pair_of(init);
  check_agreement(pair);
  const auto server = profile_in(pair.server);
  const auto client = profile_in(pair.client);
  CHECK(server.key == "raw256:" + kRandom);
  CHECK(server.crypt == Cipher::kNoise);
  CHECK(std::get<HostPort>(server.remote) == HostPort{"127.0.0.1", 80, 80});
  CHECK(std::get<HostPort>(client.remote) == HostPort{"2001:db8::7", 4000, 4000});
  CHECK(std::get<HostPort>(client.local_address) == HostPort{"127.0.0.1", 12948, 12948});
  for (const auto* settings : {&pair.client, &pair.server}) {
    const auto text = render_profile(*settings, "x.json");
    CHECK(warnings_of(run_json(text, settings->role())).empty());
  }
}

TEST_CASE("Each field of a written profile stands below a comment") {
  std::istringstream lines(render_profile(pair_of(asked({"--init", "server"})).server, "dir/my.json"));
  std::string before, line;
  std::size_t fields = 0;
  while (std::getline(lines, line)) {
    if (line.starts_with("  \"")) {
      ++fields;
      CHECK(before.starts_with("  // "));
    }
    before = line;
  }
  CHECK(fields == 9);
}

TEST_CASE("A new pair leaves windows and redundancy to the programs, which follow the path") {
  const auto pair = pair_of(asked({"--init", "server"}));
  for (const auto* settings : {&pair.client, &pair.server}) {
    const auto text = render_profile(*settings, "x.json");
    for (const auto* field : {"sndwnd", "rcvwnd", "datashard", "parityshard", "smuxbuf", "streambuf"}) {
      INFO(field);
      CHECK(text.find('"' + std::string(field) + '"') == std::string::npos);
    }
    const auto link = profile_in(*settings).link;
    CHECK(link.kcp.max_send_window == 16384);
    CHECK(link.kcp.max_receive_window == 16384);
    CHECK(link.smux.buffers_follow_window);
  }
}

TEST_CASE("No line of a written profile is wider than a terminal of 80 columns") {
  const auto pair =
      pair_of(asked({"--init", "server", "--ds", "10", "--mtu", "auto", "--smuxbuf", "4194304", "--tcp"}));
  for (const auto* settings : {&pair.client, &pair.server}) {
    std::istringstream lines(render_profile(*settings, "x.json"));
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      CHECK(line.size() <= 80);
    }
  }
}

TEST_CASE("Flags given with --init go into both profiles or into one, by what they are about") {
  const auto pair =
      pair_of(asked({"--init", "server", "--crypt", "salsa20", "--key", "mine", "--mtu", "1200", "--ds", "5",
                     "--threads", "3", "--closewait", "60", "--quiet", "--mode", "normal"}));
  const auto server = profile_in(pair.server);
  const auto client = profile_in(pair.client);
  for (const auto* profile : {&server, &client}) {
    CHECK(profile->key == "mine");
    CHECK(profile->crypt == Cipher::kSalsa20);
    CHECK(profile->link.kcp.mtu == 1200);
    CHECK(profile->link.fec.data_shards == 5);
    CHECK(profile->mode == "normal");
  }
  CHECK(server.threads == 3);
  CHECK(server.quiet);
  CHECK(server.closewait == seconds(60));
  CHECK(client.threads == 0);
  CHECK_FALSE(client.quiet);
}

TEST_CASE("A key of the environment is used as it is") {
  const auto command =
      run({.role = Role::kServer, .arguments = {"--init", "server"}, .environment_key = "from-outside"});
  CHECK_FALSE(std::get<InitPair>(command).wants_key);
  CHECK(pair_of(std::get<InitPair>(command)).client.text(OptionId::kKey) == "from-outside");
}

TEST_CASE("Where clients find the server: --public-address, else the address it listens on, else its own") {
  const auto remote = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--init", "server"});
    return pair_of(asked(arguments)).client.text(OptionId::kRemoteAddr);
  };
  CHECK(remote({}) == "[2001:db8::7]:29900");
  CHECK(remote({"-l", "0.0.0.0:1-9"}) == "[2001:db8::7]:1-9");
  CHECK(remote({"-l", "192.0.2.5:77"}) == "192.0.2.5:77");
  CHECK(remote({"--public-address", "vpn.example.net"}) == "vpn.example.net:29900");
  CHECK(remote({"--public-address", "2001:db8::9", "-l", ":5"}) == "[2001:db8::9]:5");
  CHECK(remote({"--public-address", "vpn.example.net:443"}) == "vpn.example.net:443");
  CHECK_FALSE(asked({"--init", "server", "--public-address", "x"}).wants_address);
  CHECK_FALSE(asked({"--init", "server", "-l", "192.0.2.5:77"}).wants_address);
}

TEST_CASE("A pair begins at the client too, or is written for the other side") {
  const auto pair =
      pair_of(asked({"--init", "client", "-r", "vpn.example.net:30-39", "-l", ":8"}, Role::kClient));
  check_agreement(pair);
  CHECK(std::get<HostPort>(profile_in(pair.server).local_address) == HostPort{"", 30, 39});
  CHECK(std::get<HostPort>(profile_in(pair.client).local_address) == HostPort{"", 8, 8});
  const auto swapped = asked({"--init", "client", "-c", "/tmp/laptop.json"});
  CHECK(swapped.written == Role::kClient);
  CHECK(swapped.path == "/tmp/laptop.json");
}

TEST_CASE("What cannot become a pair is refused in one line") {
  const auto server = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--init", "server"});
    return refusal_line(run_flags(std::move(arguments), Role::kServer));
  };
  CHECK(server({"-l", ":0"}) == "kcptun-server: --listen :0: has port 0; a client must know the port");
  CHECK(server({"--public-address", ":5"}) == "kcptun-server: --public-address :5: has no host");
  CHECK(server({"--public-address", "a b"}).find("has a host with a character that no host has") !=
        std::string::npos);
  CHECK(server({"--mtu", "1"}) == "kcptun-server: --mtu 1: out of range 128..1500 or auto");
  CHECK(server({"--key", "\xff"}).find("not valid UTF-8") != std::string::npos);
  CHECK(server({"-c", "kcptun://v1/x"}).find("writes a file") != std::string::npos);
  CHECK(refusal_line(run_flags({"--init", "client"})).find("--remoteaddr vps:29900: kcptun's example") !=
        std::string::npos);
  CHECK(refusal_line(run_flags({"--init", "both"})) ==
        "kcptun-client: --init both: must be one of client, server");
  CHECK(refusal_line(run_flags({"--public-address", "x"}, Role::kServer)) ==
        "kcptun-server: --public-address x: has a meaning with --init and --share only");
}

ShareRequest shared(const Start& start) {
  const auto command = run(start);
  INFO(refusal_line(command));
  REQUIRE(std::holds_alternative<ShareRequest>(command));
  return std::get<ShareRequest>(command);
}

TEST_CASE("A profile that --init wrote gives the same pairing string again, on either side") {
  const auto pair =
      pair_of(asked({"--init", "server", "--public-address", "vpn.example.net", "-l", ":30-39", "--tcp"}));
  const std::string wanted = encode_pairing(pair.client);
  const std::map<std::string, std::string> files{{"server.json", render_profile(pair.server, "server.json")},
                                                 {"client.json", render_profile(pair.client, "client.json")}};
  for (const Role role : {Role::kServer, Role::kClient}) {
    const auto share = shared({.role = role, .arguments = {"--share"}, .files = files});
    CHECK_FALSE(share.wants_address);
    CHECK(share.warnings.empty());
    CHECK(std::get<std::string>(pairing_of(share.tunnels.front(), "")) == wanted);
  }
}

TEST_CASE("A server's profile without a public address is shared with this machine's own") {
  const auto file = render_profile(pair_of(asked({"--init", "server"})).server, "x");
  const auto share =
      shared({.role = Role::kServer, .arguments = {"--share", "-c", "x"}, .files = {{"x", file}}});
  CHECK(share.wants_address);
  const auto pairing = std::get<std::string>(pairing_of(share.tunnels.front(), "2001:db8::7"));
  const auto json = decode_pairing(pairing, Role::kClient);
  CHECK(fields_of(json.value())["remoteaddr"] == "[2001:db8::7]:29900");
  const auto told = shared({.role = Role::kServer,
                            .arguments = {"--share", "-c", "x", "--public-address", "h:5"},
                            .files = {{"x", file}}});
  CHECK_FALSE(told.wants_address);
}

TEST_CASE("What cannot be shared is refused in one line") {
  CHECK(refusal_line(run_flags({"--share"})) ==
        "kcptun-client: client.json: cannot read: No such file or directory");
  const auto share =
      shared({.arguments = {"--share", "-c", "x"}, .files = {{"x", R"({"key": "0123456789abcdef"})"}}});
  CHECK(
      std::get<StartupError>(pairing_of(share.tunnels.front(), "")).line.find("need the server's address") !=
      std::string::npos);
  CHECK(refusal_line(run_flags({"--print"})) == "kcptun-client: --print: has a meaning with --init only");
}

TEST_CASE("A key file is shared as the key that it holds") {
  const auto share = shared({.arguments = {"--share", "-c", "x"},
                             .files = {{"x", R"({"key-file": "k", "remoteaddr": "h:1"})"}},
                             .key_files = {{"k", "the key of the file"}}});
  const auto json = fields_of(
      decode_pairing(std::get<std::string>(pairing_of(share.tunnels.front(), "")), Role::kClient).value());
  CHECK(json["key"] == "the key of the file");
  CHECK_FALSE(json.contains("key-file"));
}

TEST_CASE("A shadowsocks plugin does not begin a pair") {
  const PluginEnvironment plugin{"192.0.2.1", "8388", "127.0.0.1", "1080", "init=client"};
  CHECK(refusal_line(run({.plugin = plugin})).find("init") != std::string::npos);
}

TEST_CASE("Warnings are those of the new pair") {
  CHECK(asked({"--init", "server"}).warnings.empty());
  CHECK(asked({"--init", "server", "--crypt", "xor"}).warnings.size() == 1);
}

TEST_CASE("A JSON file may have comments, and an error behind them tells the right place") {
  CHECK(profile_of(run_json("// one\n{ /* two */ \"mtu\": 1000 // three\n}\n")).link.kcp.mtu == 1000);
  CHECK(refusal_line(run_json("// one\n{\"mtu\": 1000,, }")).starts_with("kcptun-client: x.json:2:14: "));
  CHECK(refusal_line(run_json("{} /* open")).starts_with("kcptun-client: x.json:1:"));
}

}  // namespace
}  // namespace kcptun::test::init_test
