#include "config/init.h"

#include <nlohmann/json.hpp>

#include "config/json_file.h"
#include "config/pairing.h"
#include "tests/config/support.h"

namespace kcptun::test {
namespace {

InitPair asked(std::vector<std::string> arguments, Role role = Role::kServer) {
  const auto command = run_flags(std::move(arguments), role);
  INFO(refusal_line(command));
  REQUIRE(std::holds_alternative<InitPair>(command));
  return std::get<InitPair>(command);
}

ProfilePair pair_of(const InitPair& init) {
  const auto made = make_pair_of(init, {.key = "generated-key", .own_host = "2001:db8::7"});
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
  CHECK(server.key == "generated-key");
  CHECK(server.crypt == Cipher::kAes128Gcm);
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
  CHECK(fields == 11);
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
        "kcptun-server: --public-address x: has a meaning with --init only");
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
}  // namespace kcptun::test
