#include "daemon/metrics/counter_log.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace kcptun::counter_log_test {
namespace {

// A temporary directory, and local time in a zone that needs no entry in the zone database.
struct Fixture {
  Fixture() {
    char name[] = "/tmp/kcptun-counter-log-XXXXXX";
    REQUIRE(mkdtemp(name));
    directory = name;
    setenv("TZ", "XYZ-2", 1);
    tzset();
  }
  ~Fixture() { std::filesystem::remove_all(directory); }
  std::string path(const std::string& name) const { return directory + "/" + name; }
  std::vector<std::string> lines(const std::string& name) const {
    std::ifstream file(path(name));
    std::vector<std::string> all;
    for (std::string line; std::getline(file, line);) all.push_back(line);
    return all;
  }
  std::string directory;
};

constexpr timespec kNewYear{1767225600 - 7200, 0};  // 2026-01-01 00:00:00 in the fixture's zone

}  // namespace

TEST_CASE_METHOD(Fixture, "the names of the columns stand once in each file, the Unix time before each row") {
  const CounterLog log(path("snmp.log"));
  Counters counters;
  counters.bytes_sent = 12;
  REQUIRE(log.append(kNewYear, counters));
  counters.oob_packets = 3;
  REQUIRE(log.append({kNewYear.tv_sec + 60, 999'999'999}, counters));
  const std::vector<std::string> rows = lines("snmp.log");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].starts_with("Unix,BytesSent,BytesReceived,MaxConn,"));
  CHECK(rows[0].ends_with(",RingBufferSndBuffer,OOBPackets"));
  CHECK(rows[1].starts_with("1767218400,12,0,"));
  CHECK(rows[2].starts_with("1767218460,12,0,"));
  CHECK(rows[2].ends_with(",0,3"));
}

TEST_CASE_METHOD(Fixture,
                 "the file changes with the time in its name, and the directory's name is no layout") {
  const std::string day = path("2006");
  std::filesystem::create_directory(day);
  const CounterLog log(day + "/snmp-20060102.log");
  REQUIRE(log.append({kNewYear.tv_sec - 1, 0}, Counters{}));
  REQUIRE(log.append(kNewYear, Counters{}));
  CHECK(lines("2006/snmp-20251231.log").size() == 2);
  CHECK(lines("2006/snmp-20260101.log").size() == 2);
  CHECK(CounterLog("snmp-06").file_at(kNewYear) == "snmp-26");
  CHECK(CounterLog("/").file_at(kNewYear) == "/");
}

TEST_CASE_METHOD(Fixture, "a file that is moved away is begun anew, one with other text is continued") {
  const CounterLog log(path("snmp.log"));
  REQUIRE(log.append(kNewYear, Counters{}));
  std::filesystem::rename(path("snmp.log"), path("old.log"));
  REQUIRE(log.append(kNewYear, Counters{}));
  CHECK(lines("snmp.log").size() == 2);
  std::ofstream(path("snmp.log")) << "my own heading\n";
  REQUIRE(log.append(kNewYear, Counters{}));
  CHECK(lines("snmp.log").size() == 2);
}

TEST_CASE_METHOD(Fixture, "what cannot be written is an error that names the file, and nothing waits") {
  const CounterLog nowhere(path("none/snmp.log"));
  CHECK(nowhere.append(kNewYear, Counters{}).error() ==
        "cannot write " + path("none/snmp.log") + ": No such file or directory");
  REQUIRE(mkdir(path("folder").c_str(), 0700) == 0);  // the fixture's own name may contain layout elements
  CHECK_FALSE(CounterLog(path("folder")).append(kNewYear, Counters{}));
  REQUIRE(mkfifo(path("pipe").c_str(), 0600) == 0);
  CHECK_FALSE(CounterLog(path("pipe")).append(kNewYear, Counters{}));
  CHECK(CounterLog("/dev/full").append(kNewYear, Counters{}).error() ==
        "cannot write /dev/full: No space left on device");
}

}  // namespace kcptun::counter_log_test
