#include "config/key_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/config/support.h"

namespace kcptun::test::key_file_test {
namespace {

/// A file of its own, gone with it.
struct File {
  explicit File(const std::string& text, mode_t mode = 0600) {
    const int fd = ::mkstemp(path.data());
    REQUIRE(fd >= 0);
    REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::fchmod(fd, mode);
    ::close(fd);
  }
  ~File() { ::unlink(path.c_str()); }
  std::string path = "/tmp/kcptun-uv-key-XXXXXX";
};

std::string error_of(const std::string& path) {
  const auto text = read_key_file(path);
  return text ? "read" : text.error();
}

}  // namespace

TEST_CASE(
    "The key of a file counts, from a flag and from the JSON file, without what an editor puts around it") {
  const std::map<std::string, std::string> files{{"k", "file's key\n"},
                                                 {"crlf", "key\r\n"},
                                                 {"two", "a\n\n"},
                                                 {"bom", "\xef\xbb\xbfkey\n"},
                                                 {"around", "\xef\xbb\xbf\r\n\nkey\r\n\r\n"},
                                                 {"lines", "\na\nb \n"},
                                                 {"binary", std::string("\0\xff\xfe\n\xef\xbb\xbf", 7)}};
  const auto key_in = [&](const std::string& name) {
    return profile_of(run({.arguments = {"--key-file", name}, .key_files = files})).key;
  };
  CHECK(key_in("k") == "file's key");
  CHECK(key_in("crlf") == "key");
  CHECK(key_in("two") == "a");    // was "a\n"
  CHECK(key_in("bom") == "key");  // was the mark and "key"
  CHECK(key_in("around") == "key");
  CHECK(key_in("lines") == "a\nb ");
  CHECK(key_in("binary") == std::string("\0\xff\xfe\n\xef\xbb\xbf", 7));
  const Start json{
      .arguments = {"-c", "x.json"}, .files = {{"x.json", R"({"key-file": "k"})"}}, .key_files = files};
  CHECK(profile_of(run(json)).key == "file's key");
}

TEST_CASE("Of key and key-file the later source rules") {
  const std::map<std::string, std::string> files{{"k", "file"}};
  const Start over_environment{
      .arguments = {"--key-file", "k"}, .environment_key = "environment", .key_files = files};
  CHECK(profile_of(run(over_environment)).key == "file");
  const Start key_in_json{.arguments = {"--key-file", "gone", "-c", "x.json"},
                          .files = {{"x.json", R"({"key": "json"})"}}};
  CHECK(profile_of(run(key_in_json)).key == "json");  // and the other is not even read
  const Start file_in_json{.arguments = {"--key", "flag", "-c", "x.json"},
                           .files = {{"x.json", R"({"key-file": "k"})"}},
                           .key_files = files};
  CHECK(profile_of(run(file_in_json)).key == "file");
}

TEST_CASE("Two keys from one source are one error") {
  CHECK(refusal_line(run({.arguments = {"--key-file", "k", "--key", "x"}, .key_files = {{"k", "file"}}})) ==
        "kcptun-client: --key-file k: cannot stand beside key: give one of the two");
  CHECK(refusal_line(run_json(R"({"key": "x", "key-file": "k"})")) ==
        R"(kcptun-client: x.json: field "key-file": "k" cannot stand beside key: give one of the two)");
}

TEST_CASE("A key file that cannot be had, is empty or too long is one error") {
  const auto line = [](std::map<std::string, std::string> files) {
    return refusal_line(run({.arguments = {"--key-file", "k"}, .key_files = std::move(files)}));
  };
  CHECK(line({}) == "kcptun-client: --key-file k: cannot be read: No such file or directory");
  CHECK(line({{"k", ""}}) == "kcptun-client: --key-file k: empty");
  CHECK(line({{"k", "\n"}}) == "kcptun-client: --key-file k: empty");
  CHECK(line({{"k", "\xef\xbb\xbf\r\n"}}) == "kcptun-client: --key-file k: empty");
  CHECK(line({{"k", std::string("\xff\xfek\0e\0", 6)}}) ==
        "kcptun-client: --key-file k: in UTF-16; save it as UTF-8");
  CHECK(line({{"k", std::string(kMaxKeyFile + 1, 'x')}}) ==
        "kcptun-client: --key-file k: holds more than 65536 bytes");
  CHECK(profile_of(run({.arguments = {"--key-file", "k"},
                        .key_files = {{"k", std::string(kMaxKeyFile, 'x') + "\n"}}}))
            .key.size() == kMaxKeyFile);
  CHECK(refusal_line(run_json("{\"key-file\": \"a\\u0000b\"}")).ends_with("has a NUL byte"));
}

TEST_CASE("A check shows where the key comes from and not what it is, and its output starts the same") {
  const std::map<std::string, std::string> files{{"k", "hush-hush"}};
  const auto text = printed(run({.arguments = {"--key-file", "k", "--check"}, .key_files = files}));
  CHECK(text.find("hush") == std::string::npos);
  CHECK(fields_of(text)["key-file"] == "k");
  CHECK_FALSE(fields_of(text).contains("key"));
  const Start again{.arguments = {"-c", "x.json"}, .files = {{"x.json", text}}, .key_files = files};
  CHECK(profile_of(run(again)).key == "hush-hush");
}

TEST_CASE("A key file that others can read or write is refused; its group may read it") {
  for (const mode_t mode : {0600u, 0400u, 0640u, 0440u}) CHECK(error_of(File("key", mode).path) == "read");
  for (const mode_t mode : {0644u, 0604u, 0602u, 0666u, 0444u}) {
    const std::string error = error_of(File("key", mode).path);
    CHECK(error.starts_with("has mode 0"));
    CHECK(error.find("chmod 600") != std::string::npos);
  }
  CHECK(error_of("/tmp") == "is a folder");
  CHECK(error_of("/nowhere/at/all") == "cannot be read: No such file or directory");
}

TEST_CASE("A key file's size is bounded on both sides of the limit") {
  const File longest(std::string(kMaxKeyFile, 'k') + "\r\n");
  CHECK(key_of_text(read_key_file(longest.path).value()).value().size() == kMaxKeyFile);
  const File too_long(std::string(kMaxKeyFile + 1, 'k'));
  CHECK_FALSE(key_of_text(read_key_file(too_long.path).value()).ok());
  const File fills_its_room(std::string(kMaxKeyFile - 1, 'k') + std::string(kAroundKey, '\n'));
  CHECK(key_of_text(read_key_file(fills_its_room.path).value()).value().size() == kMaxKeyFile - 1);
  const File more_than_its_room(std::string(kMaxKeyFile, 'k') + std::string(kAroundKey, '\n') + "more");
  CHECK_FALSE(key_of_text(read_key_file(more_than_its_room.path).value()).ok());
  CHECK(read_key_file("/dev/zero").value().size() <=
        kMaxKeyFile + kAroundKey);  // and not the machine's memory
}

TEST_CASE("systemd's credentials are found by the name of their folder") {
  const File credential("from systemd");
  const auto slash = credential.path.rfind('/');
  const std::string name = std::string(kCredentials) + credential.path.substr(slash + 1);
  ::unsetenv("CREDENTIALS_DIRECTORY");
  CHECK(error_of(name).find("LoadCredential=") != std::string::npos);
  ::setenv("CREDENTIALS_DIRECTORY", credential.path.substr(0, slash).c_str(), 1);
  CHECK(read_key_file(name).value() == "from systemd");
  ::unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_CASE("A new key has 256 bits of what it was given, in 43 characters that need no quoting") {
  CHECK(printed(run_flags({"--genkey"})) == "AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8Pg\n");
  const char* const argv[] = {"kcptun-client", "--genkey"};
  const auto one = parse_command(Role::kClient, 2, argv, "");
  const auto two = parse_command(Role::kClient, 2, argv, "");
  CHECK(printed(one).size() == 44);
  CHECK(printed(one) != printed(two));
}

TEST_CASE("A user is a name, or a name and a group") {
  for (const std::string good : {"nobody", "nobody:nogroup", "65534:65534"})
    CHECK(profile_of(run_flags({"--user", good})).user == good);
  for (const std::string bad : {":", ":nogroup", "nobody:", "a:b:c"})
    CHECK(refusal_line(run_flags({"--user", bad})) ==
          "kcptun-client: --user " + bad + ": must be NAME or NAME:GROUP");
}

}  // namespace kcptun::test::key_file_test
