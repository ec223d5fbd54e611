#include "config/plugin.h"

#include "tests/config/support.h"

namespace kcptun::test::plugin_test {
namespace {

PluginEnvironment plugin_with(std::optional<std::string> options) {
  return {"server.example.net", "8388", "127.0.0.1", "40001", std::move(options)};
}

ParsedCommand run_options(const std::string& options, Role role = Role::kClient) {
  return run({.role = role, .plugin = plugin_with(options)});
}

/// "name|name=value|..." of what was taken apart, or the error after '!'.
std::string split(std::string_view text) {
  const auto options = split_plugin_options(text);
  if (!options) return '!' + options.error();
  std::string shown;
  for (const auto& [name, value, literal] : options.value())
    shown += (shown.empty() ? "" : "|") + name + (value ? '=' + *value : "");
  return shown;
}

TEST_CASE("Plugin options are taken apart and unescaped") {
  CHECK(split("") == "");
  CHECK(split("nocomp") == "nocomp");
  CHECK(split("mode=fast3;nocomp;mtu=1200") == "mode=fast3|nocomp|mtu=1200");
  CHECK(split(R"(key=a\;b\=c\\d;quiet)") == R"(key=a;b=c\d|quiet)");
  CHECK(split(R"(a\=b\;c=d)") == "a=b;c=d");
  CHECK(split("key=YQ==") == "key=YQ==");
  CHECK(split("key=") == "key=");
  CHECK(split(" key = K ; mode= fast3;\tnocomp ;") == "key=K|mode=fast3|nocomp");
  for (const std::string none : {";", ";;", " ; ;\n"}) CHECK(split(none) == "");
  CHECK(split(";a;;b;") == "a|b");
  CHECK(split(R"(key=\\)") == R"(key=\)");
}

TEST_CASE("Malformed plugin options are refused") {
  for (const std::string text : {"=", "=x", "a;=x", " = x"}) {
    CHECK(split(text) == "!has an option without a name");
  }
  CHECK(split(R"(key=a\)") == "!ends with a backslash that escapes nothing");
  CHECK(split(R"(key=\\\)") == "!ends with a backslash that escapes nothing");
  CHECK(split(R"(c=C:\x)") == R"(!has a backslash before something other than ; = or \)");
  CHECK(refusal_line(run_options("mode=fast;=hush")) ==
        "kcptun-client: SS_PLUGIN_OPTIONS: has an option without a name");
}

TEST_CASE("A plugin takes its addresses from the host program") {
  const auto client = profile_of(run({.plugin = plugin_with(std::nullopt)}));
  CHECK(client.local_address == Address{HostPort{"127.0.0.1", 40001, 40001}});
  CHECK(client.remote == Address{HostPort{"server.example.net", 8388, 8388}});
  const auto server = profile_of(run({.role = Role::kServer, .plugin = plugin_with("")}));
  CHECK(server.local_address == Address{HostPort{"server.example.net", 8388, 8388}});
  CHECK(server.remote == Address{HostPort{"127.0.0.1", 40001, 40001}});
}

TEST_CASE("A plugin's IPv6 addresses may come with and without brackets") {
  for (const std::string host : {"::1", "[::1]"}) {
    const auto profile = profile_of(run({.plugin = {host, "1", host, "65535"}}));
    CHECK(profile.remote == Address{HostPort{"::1", 1, 1}});
    CHECK(profile.local_address == Address{HostPort{"::1", 65535, 65535}});
  }
  CHECK(std::get<HostPort>(profile_of(run({.plugin = {"fe80::1%eth0", "1", "::1", "2"}})).remote).host ==
        "fe80::1%eth0");
}

TEST_CASE("A partial set of a plugin's variables is refused by the name of the missing one") {
  const std::string rest =
      " is not set, though other variables of a shadowsocks plugin (SIP003) are; it needs SS_REMOTE_HOST, "
      "SS_REMOTE_PORT, SS_LOCAL_HOST and SS_LOCAL_PORT";
  const auto line = [](PluginEnvironment plugin) { return refusal_line(run({.plugin = std::move(plugin)})); };
  CHECK(line({{}, "1", "h", "2", {}}) == "kcptun-client: SS_REMOTE_HOST" + rest);
  CHECK(line({"h", {}, "h", "2", {}}) == "kcptun-client: SS_REMOTE_PORT" + rest);
  CHECK(line({"h", "1", {}, "2", {}}) == "kcptun-client: SS_LOCAL_HOST" + rest);
  CHECK(line({"h", "1", "h", {}, {}}) == "kcptun-client: SS_LOCAL_PORT" + rest);
  CHECK(line({{}, {}, {}, {}, "nocomp"}) == "kcptun-client: SS_REMOTE_HOST" + rest);
  CHECK(exit_code(run({.plugin = {.options = ""}})) == 2);
  CHECK(printed(run({.arguments = {"--version"}, .plugin = {.options = ""}})).starts_with("kcptun version "));
}

TEST_CASE("A plugin's bad address is refused by its variable") {
  const auto line = [](const std::string& host, const std::string& port) {
    const auto remote = refusal_line(run({.plugin = {host, port, "h", "1"}}));
    const auto local = refusal_line(run({.plugin = {"h", "1", host, port}}));
    CHECK(local.starts_with("kcptun-client: SS_LOCAL_"));
    CHECK(remote.substr(remote.find("_HOST") == remote.npos ? remote.find("_PORT") : remote.find("_HOST")) ==
          local.substr(local.find("_HOST") == local.npos ? local.find("_PORT") : local.find("_HOST")));
    return remote;
  };
  for (const std::string port : {"0", "65536", "", "x", "-1", "8 0", "http", "3100-3000"}) {
    CHECK(line("h", port) == "kcptun-client: SS_REMOTE_PORT \"" + port + "\": must be a port in 1..65535");
  }
  CHECK(line("", "1") == "kcptun-client: SS_REMOTE_HOST \"\": is empty");
  CHECK(line("0.0.0.0|::", "1") ==
        "kcptun-client: SS_REMOTE_HOST \"0.0.0.0|::\": names more than one address; only one can be used");
  CHECK(line("@x", "1") == "kcptun-client: SS_REMOTE_HOST \"@x\": is neither a name nor an address");
  CHECK(line("[::1", "1") == "kcptun-client: SS_REMOTE_HOST \"[::1\": has no closing ]");
  for (const std::string host : {"/run/x", "a b"}) {
    CHECK(line(host, "1") ==
          "kcptun-client: SS_REMOTE_HOST \"" + host + "\": has a host with a character that no host has");
  }
}

TEST_CASE("Plugin options are named as flags, aliases and JSON fields") {
  const auto profile =
      profile_of(run_options("mtu=128;ds=7;qpp-count=67;nocomp;acknodelay=false;quiet=true"));
  CHECK(profile.link.kcp.mtu == 128);
  CHECK(profile.link.fec.data_shards == 7);
  CHECK(profile.qpp_count == 67);
  CHECK_FALSE(profile.link.compress);
  CHECK_FALSE(profile.link.kcp.ack_nodelay);
  CHECK(profile.quiet);
  CHECK(profile_of(run_options("mtu=1400;mtu=1300")).link.kcp.mtu == 1300);
  CHECK(profile_of(run_options(R"(key=a\;b\=c\\)")).key == R"(a;b=c\)");
}

TEST_CASE("A bad plugin option is refused by its name") {
  const auto line = [](const std::string& options) { return refusal_line(run_options(options)); };
  CHECK(line("mtu=1500") == "not refused");
  CHECK(line("mtu=1501") == "kcptun-client: SS_PLUGIN_OPTIONS: mtu: out of range 128..1500 or auto");
  CHECK(line("mtu=128") == "not refused");
  CHECK(line("mtu=127") == "kcptun-client: SS_PLUGIN_OPTIONS: mtu: out of range 128..1500 or auto");
  CHECK(line("mtu=x") == "kcptun-client: SS_PLUGIN_OPTIONS: mtu: not a whole number");
  CHECK(line("mtu") == "kcptun-client: SS_PLUGIN_OPTIONS: mtu: needs a value");
  CHECK(line("nocomp=maybe") == "kcptun-client: SS_PLUGIN_OPTIONS: nocomp: must be true or false");
  CHECK(line("modee=fast") == "kcptun-client: SS_PLUGIN_OPTIONS: modee: unknown option (did you mean mode?)");
  CHECK(line("obfs=http") == "kcptun-client: SS_PLUGIN_OPTIONS: obfs: unknown option");
  CHECK(line("target=h:1") == "kcptun-client: SS_PLUGIN_OPTIONS: target: is for kcptun-server only");
  for (const std::string name : {"check", "help", "version", "help-markdown"}) {
    CHECK(line(name) == "kcptun-client: SS_PLUGIN_OPTIONS: " + name + ": is for the command line only");
  }
  CHECK(exit_code(run_options("mtu=127")) == 2);
}

TEST_CASE("What belongs to a secret is in no message about plugin options") {
  const std::string parted = "options are parted by ; (an = that belongs to a value is written \\=)";
  struct Row {
    std::string options, line;
  };
  for (const auto& row : std::vector<Row>{
           // What was said before stands behind each.
           {"key=hush,crypt=aes", "key: runs into crypt: " + parted},  // nothing: all of it was the key
           {"key=hush crypt=aes", "key: runs into crypt: " + parted},  // nothing
           {"key=hush&mode=fast", "key: runs into mode: " + parted},   // nothing
           {"mode=fast3,key=hush",
            "mode: runs into key: " + parted},  // mode fast3,key=hush: must be one of ...
           {"key:hush,crypt=aes",
            "key: is parted from its value by =, and from the next option by ;"},  // key:hush,crypt: unknown
                                                                                   // option
           {"key hush",
            "key: is parted from its value by =, and from the next option by ;"},  // key hush: unknown option
           {"mode=fast3 key hush",
            "mode: must be one of normal, fast, fast2, fast3, manual"},  // mode fast3 key hush: must be ...
           {"hush",
            "an unknown option (hidden, as it may be a value); options are name=value, parted by "
            ";"},  // hush: unknown
                   // option
           {"hu sh=1",
            "an unknown option (hidden, as it may be a value); options are name=value, parted by ;"},
           {"remoteaddr", "remoteaddr: needs a value"}}) {
    CHECK(refusal_line(run_options(row.options)) == "kcptun-client: SS_PLUGIN_OPTIONS: " + row.line);
  }
  CHECK(profile_of(run_options(R"(key=hush,crypt\=aes)")).key == "hush,crypt=aes");
  CHECK(profile_of(run_options("key=a,b=c==")).key == "a,b=c==");  // b is no option
}

TEST_CASE("A plugin's port range is the host's, or one of remoteaddr that holds the host's port") {
  const auto remote = [](const std::string& port, const std::string& options, Role role = Role::kClient) {
    const auto profile = profile_of(run({.role = role, .plugin = {"h", port, "127.0.0.1", "2", options}}));
    return std::get<HostPort>(role == Role::kClient ? profile.remote : profile.local_address);
  };
  CHECK(remote(" 3000-3100 ", "") == HostPort{"h", 3000, 3100});
  CHECK(remote("3000", "remoteaddr=:3000-3100") == HostPort{"h", 3000, 3100});
  CHECK(remote("3100", "remoteaddr=h:3000-3100") == HostPort{"h", 3000, 3100});
  CHECK(remote("3100", "listen=:3000-3100", Role::kServer) == HostPort{"h", 3000, 3100});
  CHECK(remote("2999", "remoteaddr=:3000-3100") == HostPort{"h", 2999, 2999});
  CHECK(remote("3101", "remoteaddr=:3000-3100") == HostPort{"h", 3101, 3101});
  CHECK(remote("3000", "remoteaddr=other:3000-3100") == HostPort{"h", 3000, 3000});
  CHECK(warnings_of(run({.plugin = {"h", "1", "h", "2", "key=k;remoteaddr=:1-5"}})).empty());
  CHECK(warnings_of(run({.plugin = {"h", "6", "h", "2", "key=k;remoteaddr=:1-5"}})).size() == 1);
  CHECK(refusal_line(run({.plugin = {"h", "1", "h", "3000-3100", ""}})) ==
        "kcptun-client: SS_LOCAL_PORT \"3000-3100\": must be a port in 1..65535");
}

TEST_CASE("Plugin options rule over flags, the JSON file over them, the host's addresses over all") {
  const Start start{.arguments = {"--mtu", "1000", "--sndwnd", "10", "--conn", "2", "-l", ":1"},
                    .environment_key = "environment",
                    .files = {{"f", R"({"sndwnd": 30, "remoteaddr": "other:1"})"}},
                    .plugin = plugin_with("c=f;mtu=1100;sndwnd=20;key=plugin")};
  const auto command = run(start);
  const auto& profile = profile_of(command);
  CHECK(profile.link.kcp.mtu == 1100);
  CHECK(profile.link.kcp.send_window == 30);
  CHECK(profile.conn == 2);
  CHECK(profile.key == "plugin");
  CHECK(profile.remote == Address{HostPort{"server.example.net", 8388, 8388}});
  CHECK(profile.local_address == Address{HostPort{"127.0.0.1", 40001, 40001}});
  CHECK(warnings_of(command) ==
        std::vector<std::string>{
            "sndwnd 20 from SS_PLUGIN_OPTIONS is ignored: f has \"sndwnd\": 30, and the file "
            "overrides it",
            "remoteaddr from the JSON file is ignored: SS_REMOTE_* of the shadowsocks host rule",
            "localaddr from the command line is ignored: "
            "SS_LOCAL_* of the shadowsocks host rule"});
  CHECK(warnings_of(run_options("key=0123456789abcdef;remoteaddr=x:1")) ==
        std::vector<std::string>{
            "remoteaddr from SS_PLUGIN_OPTIONS is ignored: SS_REMOTE_* of the shadowsocks host rule"});
}

}  // namespace
}  // namespace kcptun::test::plugin_test
