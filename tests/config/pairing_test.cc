#include "config/pairing.h"

#include <nlohmann/json.hpp>

#include "tests/config/support.h"

namespace kcptun::test::pairing_test {
namespace {

Settings client_with(std::vector<std::pair<OptionId, Value>> values) {
  Settings settings(Role::kClient);
  settings.set(OptionId::kRemoteAddr, std::string("[2001:db8::1]:3000-3010"), Source::kFlag);
  settings.set(OptionId::kKey, std::string("a \"key\" with ' and \xc3\xa9"), Source::kFlag);
  for (auto& [id, value] : values) settings.set(id, std::move(value), Source::kFlag);
  return settings;
}

std::string decoded(const std::string& pairing, Role role = Role::kClient) {
  const auto json = decode_pairing(pairing, role);
  return json ? json.value() : "error: " + json.error();
}

TEST_CASE(
    "A pairing string brings every field that both ends must agree on, and of the others what is not "
    "default") {
  const auto pairing = encode_pairing(client_with({{OptionId::kMtu, std::int64_t{1200}},
                                                   {OptionId::kConn, std::int64_t{1}},
                                                   {OptionId::kLocalAddr, std::string("127.0.0.1:1")}}));
  CHECK(nlohmann::json::parse(decoded(pairing)) == nlohmann::json::parse(R"json({
    "remoteaddr": "[2001:db8::1]:3000-3010", "key": "a \"key\" with ' and é", "crypt": "aes", "qpp": false,
    "qpp-count": 61, "nocomp": false, "smuxver": 2, "mtu": 1200})json"));
}

TEST_CASE("A pairing string keeps its bytes from version to version") {
  Settings settings(Role::kClient);
  settings.set(OptionId::kRemoteAddr, std::string("h:1"), Source::kFlag);
  settings.set(OptionId::kKey, std::string("k"), Source::kFlag);
  CHECK(encode_pairing(settings).starts_with("kcptun://v1/"));
  // Written down once, and to be read for ever.
  const std::string old = "kcptun://v1/AB4RWewCeyJyZW1vdGVhZGRyIjoiaDoxIiwia2V5IjoiayJ9";
  CHECK(decoded(old) == R"({"remoteaddr":"h:1","key":"k"})");
}

TEST_CASE("A server takes the port of a pairing string to listen on") {
  const auto fields = nlohmann::json::parse(decoded(encode_pairing(client_with({})), Role::kServer));
  CHECK(fields["listen"] == ":3000-3010");
  CHECK_FALSE(fields.contains("remoteaddr"));
}

TEST_CASE("Every option that says so, and no other, must agree") {
  for (const auto& option : all_options()) {
    INFO(option.flag);
    if (option.help.find("same on both sides") != option.help.npos) CHECK(must_agree(option.id));
    if (must_agree(option.id)) CHECK(option.role == OptionRole::kBoth);
  }
}

TEST_CASE("A pairing string that was cut anywhere, lengthened or changed is told so, and never taken") {
  const auto whole = encode_pairing(client_with({}));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto json = decoded(whole.substr(0, length));
    INFO(length << ' ' << json);
    CHECK(json.starts_with(length < kPairingScheme.size() ? "error: does not begin" : "error: is cut short"));
  }
  CHECK(decoded(whole + "A").starts_with("error: has something behind its end"));
  for (std::size_t at = whole.find("v1/") + 3; at < whole.size(); ++at) {
    auto changed = whole;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    INFO(at);
    // The last digit's lowest bits are padding: only there may a change mean nothing.
    if (at + 1 < whole.size()) CHECK(decoded(changed).starts_with("error: "));
    changed[at] = '*';
    CHECK(decoded(changed).starts_with("error: has a character"));
  }
}

TEST_CASE("A pairing string may be wrapped, as terminals and mails do") {
  const auto whole = encode_pairing(client_with({}));
  auto wrapped = whole;
  for (std::size_t at = 40; at < wrapped.size(); at += 42) wrapped.insert(at, "\r\n");
  CHECK(decoded(" " + wrapped + "\n") == decoded(whole));
}

TEST_CASE("A newer version's pairing string is named as such") {
  CHECK(refusal_line(run_flags({"-c", "kcptun://v2/AAAA"})) ==
        "kcptun-client: the pairing string is of version \"v2\", and this program reads v1; update it");
}

TEST_CASE("Both programs start from a pairing string, given itself or in a file") {
  const auto pairing = encode_pairing(client_with({{OptionId::kSendWindow, std::int64_t{777}}}));
  for (const auto* word : {pairing.c_str(), "home.pair"}) {
    const auto client =
        run({.arguments = {"-l", "127.0.0.1:5", "-c", word}, .files = {{"home.pair", pairing + "\n"}}});
    CHECK(std::get<HostPort>(profile_of(client).remote) == HostPort{"2001:db8::1", 3000, 3010});
    CHECK(std::get<HostPort>(profile_of(client).local_address) == HostPort{"127.0.0.1", 5, 5});
    CHECK(profile_of(client).key == "a \"key\" with ' and \xc3\xa9");
    CHECK(profile_of(client).link.kcp.send_window == 777);
    const auto server =
        run({.role = Role::kServer, .arguments = {"-c", word}, .files = {{"home.pair", pairing}}});
    CHECK(std::get<HostPort>(profile_of(server).local_address) == HostPort{"", 3000, 3010});
    CHECK(warnings_of(server).empty());
  }
}

TEST_CASE(
    "From a pairing string the client accepts connections of its own machine only, unless -l says more") {
  const auto pairing = encode_pairing(client_with({}));
  const auto local = [&](std::vector<std::string> arguments, std::string word) {
    arguments.insert(arguments.end(), {"-c", std::move(word)});
    const auto command = run({.arguments = arguments, .files = {{"home.pair", pairing}}});
    CHECK(warnings_of(command).empty());
    return std::get<HostPort>(profile_of(command).local_address);
  };
  for (const std::string& word : {pairing, std::string("home.pair")}) {
    CHECK(local({}, word) == HostPort{"127.0.0.1", 12948, 12948});
    CHECK(local({"-l", ":5"}, word) == HostPort{"", 5, 5});
  }
  CHECK(std::get<HostPort>(profile_of(run_flags({})).local_address) ==
        HostPort{"", 12948, 12948});  // as kcptun
}

TEST_CASE("A pairing string leaves out what is the machine's own: its log, its status and its user") {
  const auto json =
      decoded(encode_pairing(client_with({{OptionId::kLog, std::string("/var/log/x")},
                                          {OptionId::kStatus, std::string(":9090")},
                                          {OptionId::kStatusToken, std::string("0123456789abcdef")},
                                          {OptionId::kThreads, std::int64_t{3}},
                                          {OptionId::kUser, std::string("nobody")},
                                          {OptionId::kName, std::string("office")},
                                          {OptionId::kQuiet, true},
                                          {OptionId::kTcp, true}})));
  for (const auto* field : {"log", "status", "status-token", "threads", "user", "name", "quiet"}) {
    INFO(field);
    CHECK_FALSE(nlohmann::json::parse(json).contains(field));
  }
  CHECK(nlohmann::json::parse(json)["tcp"] == true);
}

TEST_CASE("A file with a pairing string may have what an editor puts around it") {
  const auto pairing = encode_pairing(client_with({}));
  // Each was called a JSON error.
  for (const std::string& text :
       {"\xef\xbb\xbf" + pairing, "\n\n" + pairing + "\n\n", "\xef\xbb\xbf\r\n  " + pairing + "\r\n"}) {
    const auto command = run({.arguments = {"-c", "home.pair"}, .files = {{"home.pair", text}}});
    CHECK(std::get<HostPort>(profile_of(command).remote) == HostPort{"2001:db8::1", 3000, 3010});
  }
  CHECK(refusal_line(run({.arguments = {"-c", "home.pair"},
                          .files = {{"home.pair", std::string("\xff\xfek\0c\0", 6)}}})) ==
        "kcptun-client: home.pair is in UTF-16; save it as UTF-8");
}

TEST_CASE("No message repeats a pairing string, for it holds the key") {
  const auto bad = encode_pairing(client_with({{OptionId::kMtu, std::int64_t{1}}}));
  const auto line = refusal_line(run_flags({"-c", bad}));
  CHECK(line == "kcptun-client: the pairing string: field \"mtu\": 1 is out of range 128..1500 or auto");
  CHECK(refusal_line(run_flags({"-c", bad.substr(0, 90)})).find(bad.substr(20, 20)) == std::string::npos);
}

}  // namespace
}  // namespace kcptun::test::pairing_test
