// The keys and users of crypt noise.
#include "config/users.h"

#include "config/init.h"
#include "config/pairing.h"
#include "config/static_key.h"
#include "tests/config/support.h"

namespace kcptun::test::users_test {
namespace {

const std::string kPrivate(43, 'A');
const std::string kKeyA = std::string(42, 'B') + 'A';
const std::string kKeyB = std::string(42, 'C') + 'A';
constexpr const char* kForm =
    "must be 43 letters, digits, hyphens and underscores, as --genkey and --pubkey print them";

std::string error_of(const std::string& entry) {
  const auto user = parse_user(entry);
  return user ? "no error" : user.error();
}

/// A server's arguments behind those of the suite.
std::vector<std::string> server_with(std::vector<std::string> more) {
  std::vector<std::string> arguments{"--key", "k", "--crypt", "noise", "--private-key", kPrivate};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}
ParsedCommand run_server(std::vector<std::string> more) {
  return run_flags(server_with(std::move(more)), Role::kServer);
}
std::string json_error(const std::string& users) {
  return refusal_line(run_json(
      R"({"key": "k", "crypt": "noise", "private-key": ")" + kPrivate + R"(", "users": )" + users + "}",
      Role::kServer));
}

}  // namespace

TEST_CASE("A static key is read as these programs and as WireGuard's tools print it") {
  StaticKey key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(255 - i);
  const std::string text = to_text(key);
  CHECK(text.size() == 43);
  CHECK(parse_static_key(text) == key);
  std::string base64 = text + '=';
  std::ranges::replace(base64, '-', '+');
  std::ranges::replace(base64, '_', '/');
  REQUIRE(base64.find('/') != base64.npos);
  CHECK(parse_static_key(base64) == key);
  CHECK(parse_static_key(' ' + text + "\n") == key);
  CHECK_FALSE(parse_static_key(""));
  CHECK_FALSE(parse_static_key(text.substr(1)));
  CHECK_FALSE(parse_static_key(text + 'A'));
  CHECK_FALSE(parse_static_key(std::string(42, 'A') + '.'));
}

TEST_CASE("--pubkey prints the public key of RFC 7748's example") {
  // Section 6.1: Alice's keys.
  const std::string secret = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo";
  CHECK(printed(run_flags({"--pubkey", "--private-key", secret})) ==
        "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo\n");
  CHECK(printed(run({.role = Role::kServer,
                     .arguments = {"--pubkey", "--private-key-file", "f"},
                     .key_files = {{"f", secret + "\n"}}})) ==
        "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo\n");
  CHECK(refusal_line(run_flags({"--pubkey"})) ==
        "kcptun-client: --pubkey needs private-key or private-key-file, or a file with one behind -c");
  CHECK(refusal_line(run_flags({"--pubkey", "--private-key", "short"})) ==
        std::string("kcptun-client: --private-key (hidden): ") + kForm);
}

TEST_CASE("A user's entry is read with each of its fields, and written back") {
  for (const std::string& entry :
       {"anna=" + kKeyA,
        "b.o_b-1=" + kKeyB +
            ";allow=public+10.0.0.5:22;ratelimit=1000000;quota=100GB/month;expires=2027-01-31",
        "c=" + kKeyA + ";expires=2028-02-29", "d=" + kKeyA + ";allow=tcp/*.example.net:443"}) {
    INFO(entry);
    const auto user = parse_user(entry);
    REQUIRE(user.ok());
    CHECK(to_text(user.value()) == entry);
  }
  const User user =
      parse_user("anna=" + kKeyA + ";allow=public+10.0.0.5:22;ratelimit=7;expires=1970-01-02").value();
  CHECK(user.name == "anna");
  CHECK(user.allow->size() == 2);
  CHECK(user.ratelimit == 7);
  CHECK(user.last_day->time_since_epoch() == std::chrono::days(1));
}

TEST_CASE("Each bad spelling of a user has an error") {
  const std::string name = "which must be 1..63 letters, digits, dots, underscores and hyphens";
  const std::string key =
      "has a key that is not 43 letters, digits, hyphens and underscores, as --pubkey prints them";
  CHECK(error_of("=" + kKeyA) == "has the name \"\", " + name);
  CHECK(error_of("an na=" + kKeyA) == "has the name \"an na\", " + name);
  CHECK(error_of(std::string(63, 'x') + '=' + kKeyA) == "no error");
  CHECK(error_of(std::string(64, 'x') + '=' + kKeyA) ==
        "has the name \"" + std::string(64, 'x') + "\", " + name);
  CHECK(error_of("anna") == "has no key; write NAME=KEY");
  CHECK(error_of("anna=") == key);
  CHECK(error_of("anna=" + kKeyA + "x") == key);
  const std::string user = "anna=" + kKeyA;
  CHECK(error_of(user + ";") == "has the field \"\" without a value");
  CHECK(error_of(user + ";quota") == "has the field \"quota\" without a value");
  CHECK(error_of(user + ";quota=1GB/week").starts_with("has the quota \"1GB/week\", expected a number"));
  CHECK(error_of(user + ";x=1") == "has the field \"x\", expected allow, ratelimit, quota or expires");
  CHECK(error_of(user + ";ratelimit=0") == "has the ratelimit \"0\", which is out of range 1..4294967295");
  CHECK(error_of(user + ";ratelimit=4294967295") == "no error");
  CHECK(error_of(user + ";ratelimit=4294967296") ==
        "has the ratelimit \"4294967296\", which is out of range 1..4294967295");
  for (const char* date : {"2027-1-31", "2027-02-29", "2027-13-01", "31.01.2027", "", "2027-01-3x"})
    CHECK(error_of(user + ";expires=" + date) ==
          "expires on \"" + std::string(date) + "\", which is no date like 2027-01-31");
  CHECK(error_of(user + ";allow=10.0.0.0/40").starts_with("has an allow that has the rule \"10.0.0.0/40\""));
}

TEST_CASE("Users are strings or objects in JSON, of the profile or of a file of their own") {
  const std::string users =
      R"([{"name": "anna", "key": ")" + kKeyA +
      R"(", "allow": ["public", "10.0.0.5:22"], "ratelimit": 5, "quota": 1000, "expires": "2027-01-31"}, "bob=)" +
      kKeyB + "\"]";
  const std::string profile =
      R"({"key": "k", "crypt": "noise", "quota-file": "q.json", "private-key": ")" + kPrivate + "\", ";
  const Profile inside = profile_of(run_json(profile + "\"users\": " + users + "}", Role::kServer));
  const Profile beside = profile_of(run({.role = Role::kServer,
                                         .arguments = {"-c", "x.json"},
                                         .files = {{"x.json", profile + R"("users-file": "u.json"})"},
                                                   {"u.json", "{\"users\": " + users + "}"}}}));
  REQUIRE(inside.users.size() == 2);
  CHECK(inside.users == beside.users);
  CHECK(to_text(inside.users[0]) ==
        "anna=" + kKeyA + ";allow=public+10.0.0.5:22;ratelimit=5;quota=1kB;expires=2027-01-31");
  CHECK(inside.users[1].name == "bob");
  CHECK(profile_of(run_server({"--users", "anna=" + kKeyA, "--users", "bob=" + kKeyB})).users.size() == 2);
  // A tunnel may have lost all its users.
  CHECK(profile_of(run_json(profile + "\"users\": []}", Role::kServer)).users.empty());
}

TEST_CASE("What --check prints of users is read back as the same users") {
  const auto with_check =
      run_server({"--check", "--users", "anna=" + kKeyA + ";allow=public+a:1;ratelimit=3"});
  const std::string text = printed(with_check);
  const auto begin = text.find("\"users\": ");
  REQUIRE(begin != text.npos);
  const std::string line = text.substr(begin, text.find('\n', begin) - begin);
  CHECK(line ==
        R"("users": [{"name":"anna","key":")" + kKeyA + R"(","allow":["public","a:1"],"ratelimit":3}],)");
}

TEST_CASE("Each fault of users in JSON names the user and the field") {
  const std::string at = "kcptun-server: x.json: field \"users\": [...] ";
  CHECK(json_error(R"([{"name": "anna"}])") == at + "has the user \"anna\", who has no \"key\"");
  CHECK(json_error(R"([{"key": "x"}])") == at + "has a user without \"name\"");
  CHECK(json_error(R"([{"name": "anna", "key": "x", "kye": "y"}])") ==
        at + "has the user \"anna\", who has the field \"kye\", expected name, key, allow, ratelimit, "
             "quota or expires");
  CHECK(json_error(R"([{"name": "anna", "key": ["x"]}])") ==
        at + "has the user \"anna\", who has an array in \"key\"");
  CHECK(json_error(R"([{"name": "anna", "key": "x", "allow": [1]}])") ==
        at + "has the user \"anna\", who has a rule in \"allow\" that is no string");
  CHECK(json_error(R"([{"name": "anna;x=1", "key": "x"}])") ==
        at + "has the user \"anna;x=1\", who has a comma, a semicolon or an = in \"name\"");
  CHECK(json_error("[1]") == at + "is not an array of objects with \"name\" and \"key\"");
  CHECK(json_error(R"(["anna=)" + kKeyA + R"(", "anna=)" + kKeyB + "\"]")
            .ends_with("has the name of another user"));
  CHECK(json_error(R"(["anna=)" + kKeyA + R"(", "bob=)" + kKeyA + "\"]")
            .ends_with("has the key of the user anna"));
}

TEST_CASE("Keys and users that do not fit together are refused") {
  const auto server = [](std::vector<std::string> flags) {
    return refusal_line(run_flags(flags, Role::kServer));
  };
  const auto client = [](std::vector<std::string> flags) { return refusal_line(run_flags(flags)); };
  CHECK(server({"--private-key", kPrivate}) == "kcptun-server: --private-key (hidden): needs crypt noise");
  CHECK(server(server_with({})) ==
        "kcptun-server: --private-key (hidden): needs users or users-file beside it: only users may connect "
        "then");
  CHECK(server({"--crypt", "noise", "--users", "a=" + kKeyA})
            .ends_with("needs crypt noise, and private-key or private-key-file"));
  CHECK(server({"--crypt", "noise", "--users", "a=" + kKeyA, "--private-key", "x"}) ==
        std::string("kcptun-server: --private-key (hidden): ") + kForm);
  CHECK(client({"--crypt", "noise", "--private-key", kPrivate}) ==
        "kcptun-client: --private-key (hidden): needs server-key beside it, which the server's --pubkey "
        "prints");
  CHECK(client({"--crypt", "noise", "--server-key", kKeyA}) ==
        "kcptun-client: --server-key " + kKeyA + ": needs private-key or private-key-file beside it");
  CHECK(client({"--crypt", "noise", "--server-key", "x", "--private-key", kPrivate}) ==
        std::string("kcptun-client: --server-key x: ") + kForm);
  CHECK(client({"--crypt", "noise", "--server-key", kKeyA, "--private-key", kPrivate}) == "not refused");
  CHECK(server(server_with({"--users", "a=" + kKeyA, "--users", "b=" + kKeyB + ";quota=1GB"})) ==
        "kcptun-server: --users a=" + kKeyA + ",b=" + kKeyB +
            ";quota=1GB: has the user \"b\", who has a quota: set quota-file too");
  CHECK(server(server_with({"--users", "b=" + kKeyB + ";quota=1GB", "--quota-file", "q"})) == "not refused");
  CHECK(server(server_with({"--users", "a=" + kKeyA, "--users-file", "u.json"})) ==
        "kcptun-server: --users-file u.json: cannot stand beside users: give one of the two");
}

TEST_CASE("Each fault of a users' file names the file") {
  const auto error = [](const std::string& text) {
    return refusal_line(run({.role = Role::kServer,
                             .arguments = server_with({"--users-file", "u.json"}),
                             .files = {{"u.json", text}}}));
  };
  const std::string at = "kcptun-server: --users-file u.json: ";
  CHECK(refusal_line(run_server({"--users-file", "gone"})) ==
        "kcptun-server: --users-file gone: cannot be read: No such file or directory");
  CHECK(error("[]") == at + "an array, expected an object with \"users\"");
  CHECK(error("{}") == at + "has no array \"users\"");
  CHECK(error(R"({"users": {}})") == at + "has no array \"users\"");
  CHECK(error(R"({"users": [], "x": 1})") == at + "has the field \"x\", expected \"users\"");
  CHECK(error("{").starts_with(at + "has an error at 1:"));
  CHECK(error(R"({"users": []})") == "not refused");
}

TEST_CASE("A users' file is written as it is read") {
  std::vector<User> users;
  CHECK(render_users(users) == kNoUsers);
  CHECK_FALSE(add_user(users, "anna=" + kKeyA + ";allow=public+a:1;expires=2027-01-31"));
  CHECK_FALSE(add_user(users, "bob=" + kKeyB));
  CHECK(add_user(users, "bob=" + kPrivate) == "has the name of another user");
  const auto again = parse_users(render_users(users));
  REQUIRE(again.ok());
  CHECK(again.value() == users);
  CHECK(parse_users(std::string(kNoUsers)).value().empty());
  CHECK(parse_users(R"({"users": ["anna=x"]})").error() ==
        "has the user \"anna=x\", who has a key that is not 43 letters, digits, hyphens and underscores, as "
        "--pubkey prints them");
}

TEST_CASE("The subcommand user has words before the flags, and may make its file") {
  const auto command = run({.role = Role::kServer,
                            .arguments = {"user", "add", "anna", "--key", "k", "--crypt", "noise",
                                          "--private-key", kPrivate, "--users-file", "/nowhere/users.json"}});
  INFO(refusal_line(command));
  REQUIRE(std::holds_alternative<RunSubcommand>(command));
  const auto& asked = std::get<RunSubcommand>(command);
  CHECK(asked.id == SubcommandId::kUser);
  CHECK(asked.words == std::vector<std::string>{"add", "anna"});
  CHECK(asked.profile.users.empty());
  CHECK(asked.settings.text(OptionId::kUsersFile) == "/nowhere/users.json");
  CHECK(refusal_line(run_flags({"user", "list"})) != "not refused");  // a client has no users
}

TEST_CASE("The pairing string of a user has its private key and not the server's") {
  const auto server = std::get<RunTunnels>(run_server({"--users", "a=" + kKeyA, "-l", "192.0.2.1:29900"}));
  const Settings& settings = server.tunnels.front().settings;
  const auto line = pairing_of_user(settings, "", {std::string(42, 'D') + 'A', std::string(42, 'E') + 'A'});
  REQUIRE(std::holds_alternative<std::string>(line));
  const auto json = decode_pairing(std::get<std::string>(line), Role::kClient);
  REQUIRE(json.ok());
  CHECK(json.value().find(kPrivate) == std::string::npos);
  CHECK(json.value().find("users") == std::string::npos);
  const Profile client = profile_of(run_json(json.value()));
  CHECK(to_text(*client.private_key) == std::string(42, 'D') + 'A');
  CHECK(to_text(*client.server_key) == std::string(42, 'E') + 'A');
  const auto shared = pairing_of(settings, "");
  REQUIRE(std::holds_alternative<StartupError>(shared));
  CHECK(std::get<StartupError>(shared).line.ends_with("kcptun-server user add NAME makes one"));
}

TEST_CASE("--init takes no private key") {
  CHECK(refusal_line(
            run_flags({"--init", "server", "--crypt", "noise", "--private-key", kPrivate}, Role::kServer))
            .find("has no place in a new pair") != std::string::npos);
}

TEST_CASE("A tunnel may have 4096 users") {
  std::string users = "[";
  for (std::size_t i = 0; i < kMaxUsers; ++i) {
    StaticKey key{};
    key[0] = static_cast<std::uint8_t>(i);
    key[1] = static_cast<std::uint8_t>(i >> 8);
    users += (i > 0 ? ",\"u" : "\"u") + std::to_string(i) + '=' + to_text(key) + '"';
  }
  CHECK(json_error(users + "]") == "not refused");
  CHECK(
      json_error(users + ",\"more=" + std::string(43, 'A') + "\"]").ends_with("is one more than 4096 users"));
}

}  // namespace kcptun::test::users_test
