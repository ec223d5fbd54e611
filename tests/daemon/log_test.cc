// Events as text lines and as JSON, repeated lines, and the log file.
#include "daemon/log/log.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "daemon/log/repeat_limiter.h"

namespace kcptun::log_test {
namespace {

struct TempDir {
  TempDir() {
    char name[] = "/tmp/kcptun-log-XXXXXX";
    REQUIRE(mkdtemp(name));
    path = name;
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string path;
};

std::vector<std::string> lines_of(const std::string& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// Calls `write` with a log of these settings and returns the log's lines.
template <typename Write>
std::vector<std::string> logged(LogSettings settings, Write write) {
  const TempDir directory;
  settings.file = directory.path + "/log";
  const auto before = spdlog::default_logger();
  auto log = open_log(settings);
  if (!log) FAIL(log.error());
  use_log(std::move(*log));
  write();
  use_log(before);
  return lines_of(settings.file);
}

std::string open_error(const std::string& file) {
  const auto log = open_log({.file = file});
  return log ? "opened" : log.error();
}

}  // namespace

TEST_CASE("an event is its name and key=value fields, with quotes only where they are needed") {
  const std::array fields{LogField("conv", hex_id(0x0b87042d)),
                          LogField("streams", 3),
                          LogField("reason", "nothing came for 30 s"),
                          LogField("path", "a\"b\\c"),
                          LogField("bytes", std::string("a\n\x1b\0z", 5)),
                          LogField("empty", ""),
                          LogField("eq", "a=b")};
  CHECK(text_of_event("session closed", "office", fields) ==
        "session closed tunnel=office conv=0b87042d streams=3 reason=\"nothing came for 30 s\" "
        "path=\"a\\\"b\\\\c\" "
        "bytes=\"a\\x0a\\x1b\\x00z\" empty=\"\" eq=\"a=b\"");
  CHECK(text_of_event("stopping", "", {}) == "stopping");
}

TEST_CASE("a sentence ends its line as it is, without a name and without quotes") {
  const std::array fields{LogField("text", "nothing at all comes from 192.0.2.1:1: look at \"key\"\n"),
                          LogField("n", 2)};
  CHECK(text_of_event("hint", "", fields) ==
        "hint n=2: nothing at all comes from 192.0.2.1:1: look at \"key\"\\x0a");
  CHECK(text_of_event("hint", "office", std::array{fields[0]})
            .starts_with("hint tunnel=office: nothing at all"));
}

TEST_CASE("the same event is JSON with the same members, numbers as numbers, whatever bytes are in it") {
  const std::array fields{LogField("streams", 3), LogField("reason", "a \"quoted\" word\n"),
                          LogField("bytes", std::string("\xff\0z", 3))};
  const auto object = nlohmann::json::parse("{" + json_of_event("session closed", "office", fields) + "}");
  CHECK(object["event"] == "session closed");
  CHECK(object["tunnel"] == "office");
  CHECK(object["streams"] == 3);
  CHECK(object["reason"] == "a \"quoted\" word\n");
  CHECK(object["bytes"].is_string());
}

TEST_CASE("text lines have a time, a level and the event") {
  const auto lines = logged({}, [] { EventLog("t").info("session opened", {{"conv", "1"}}); });
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].size() ==
        std::string("2026/01/31 12:00:00+00:00 info session opened tunnel=t conv=1").size());
  CHECK(lines[0].substr(25) == " info session opened tunnel=t conv=1");
}

TEST_CASE("times in UTC say so, whatever the local time is") {
  REQUIRE(setenv("TZ", "XXX-5", 1) == 0);
  tzset();
  const auto text = logged({.utc = true}, [] { EventLog().info("x"); });
  const auto json = logged({.format = LogFormat::kJson, .utc = true}, [] { EventLog().info("x"); });
  const auto local = logged({.format = LogFormat::kJson}, [] { EventLog().info("x"); });
  REQUIRE(unsetenv("TZ") == 0);
  tzset();
  CHECK(text.at(0).substr(19) == "Z info x");
  const std::string time = nlohmann::json::parse(json.at(0))["time"];
  CHECK(time.size() == std::string("2026-01-31T12:00:00.000+00:00").size());
  CHECK(time.ends_with("+00:00"));
  CHECK(std::string(nlohmann::json::parse(local.at(0))["time"]).ends_with("+05:00"));
}

TEST_CASE("a level leaves out what is less serious") {
  const auto all = [] {
    EventLog().debug("d");
    EventLog().info("i");
    EventLog().warning("w");
    EventLog().error("e");
  };
  CHECK(logged({.level = LogLevel::kDebug}, all).size() == 4);
  CHECK(logged({}, all).size() == 3);
  CHECK(logged({.level = LogLevel::kWarning}, all).size() == 2);
  const auto errors = logged({.level = LogLevel::kError, .format = LogFormat::kJson}, all);
  REQUIRE(errors.size() == 1);
  CHECK(nlohmann::json::parse(errors[0])["level"] == "error");
}

TEST_CASE("a warning that repeats is left out beyond the burst and counted, life-cycle events never are") {
  const auto lines = logged({}, [] {
    for (int i = 0; i < 25; ++i) {
      EventLog("a").warning("cannot dial", {{"n", i}});
      EventLog("b").info("session opened", {{"n", i}});
    }
    EventLog("b").warning("cannot dial");
  });
  REQUIRE(lines.size() == RepeatLimiter::kBurst + 25 + 1 + 1);
  CHECK(lines.back().substr(26) == "warning repeated lines left out of=\"cannot dial tunnel=a\" count=15");
}

TEST_CASE("what happens to each of three thousand sessions is ten lines and a count, for each tunnel") {
  for (const char* event : {"session dialled", "session expired", "session replaced", "session scavenged"}) {
    const auto lines = logged({}, [event] {
      for (int i = 0; i < 3000; ++i) EventLog("a").info(event, {{"n", i}});
      EventLog("b").info(event);
    });
    REQUIRE(lines.size() == RepeatLimiter::kBurst + 1 + 1);  // was 3001
    CHECK(lines.back().substr(26) ==
          "info repeated lines left out of=\"" + std::string(event) + " tunnel=a\" count=2990");
  }
}

TEST_CASE("the limiter begins anew after its period and tells then what it left out") {
  RepeatLimiter limiter;
  TimePoint now{seconds(100)};
  for (std::uint32_t i = 0; i < RepeatLimiter::kBurst; ++i) CHECK(limiter.admit("x", now));
  for (int i = 0; i < 7; ++i) CHECK_FALSE(limiter.admit("x", now));
  CHECK(limiter.admit("y", now));
  now += RepeatLimiter::kPeriod - microseconds(1);
  CHECK_FALSE(limiter.admit("x", now));
  CHECK(limiter.take_finished(now).empty());
  now += microseconds(1);
  const auto left_out = limiter.take_finished(now);
  REQUIRE(left_out.size() == 1);
  CHECK(left_out[0].kind == "x");
  CHECK(left_out[0].lines == 8);
  CHECK(limiter.take_finished(now).empty());
  CHECK(limiter.admit("x", now));
}

TEST_CASE("lines of more kinds than the limiter counts all pass") {
  RepeatLimiter limiter;
  const TimePoint now{seconds(1)};
  for (std::size_t i = 0; i < RepeatLimiter::kMaxKinds; ++i) limiter.admit(std::to_string(i), now);
  for (std::uint32_t i = 0; i < 2 * RepeatLimiter::kBurst; ++i) CHECK(limiter.admit("one more", now));
  for (std::uint32_t i = 1; i < RepeatLimiter::kBurst; ++i) CHECK(limiter.admit("0", now));
  CHECK_FALSE(limiter.admit("0", now));
}

TEST_CASE("a log file that cannot be is one line that names it, and the folder that is missing") {
  const TempDir directory;
  const std::string there = directory.path;
  CHECK(open_error(there + "/log") == "opened");
  CHECK(open_error(there + "/a/b/log") ==
        "cannot open log file " + there + "/a/b/log: there is no folder " + there + "/a");
  CHECK_FALSE(std::filesystem::exists(there + "/a"));
  CHECK(open_error(there + "/log/x") ==
        "cannot open log file " + there + "/log/x: there is no folder " + there + "/log");
  CHECK(open_error(there) == "cannot open log file " + there + ": Is a directory");
}

TEST_CASE("the journal gets priorities and no times, and only when standard error is it") {
  const TempDir directory;
  const std::string file = directory.path + "/stderr";
  const int saved = dup(STDERR_FILENO);
  REQUIRE(std::freopen(file.c_str(), "w", stderr));
  struct stat info {};
  REQUIRE(fstat(STDERR_FILENO, &info) == 0);
  const auto before = spdlog::default_logger();
  const auto write = [](const std::string& stream) {
    REQUIRE(setenv("JOURNAL_STREAM", stream.c_str(), 1) == 0);
    use_log(std::move(open_log({.level = LogLevel::kDebug}).value()));
    EventLog().debug("d");
    EventLog().info("i");
    EventLog().warning("w");
    EventLog().error("e");
  };
  write(std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino));
  write("1:2");
  REQUIRE(unsetenv("JOURNAL_STREAM") == 0);
  use_log(before);
  std::fflush(stderr);
  dup2(saved, STDERR_FILENO);
  close(saved);
  const auto lines = lines_of(file);
  REQUIRE(lines.size() == 8);
  CHECK(lines[0] == "<7>debug d");
  CHECK(lines[1] == "<6>info i");
  CHECK(lines[2] == "<4>warning w");
  CHECK(lines[3] == "<3>error e");
  CHECK(lines[5].substr(25) == " info i");
}

}  // namespace kcptun::log_test
