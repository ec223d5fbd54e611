#include "daemon/metrics/time_layout.h"

#include <catch2/catch.hpp>
#include <vector>

namespace kcptun::time_layout_test {
namespace {

WallTime wall_time(int year, int month, int day, int hour, int minute, int second, long nanoseconds,
                   long offset, const char* zone) {
  WallTime time{};
  time.fields.tm_year = year - 1900;
  time.fields.tm_mon = month - 1;
  time.fields.tm_mday = day;
  time.fields.tm_hour = hour;
  time.fields.tm_min = minute;
  time.fields.tm_sec = second;
  timegm(&time.fields);  // day of the week and of the year
  time.fields.tm_gmtoff = offset;
  time.fields.tm_zone = zone;
  time.nanoseconds = nanoseconds;
  return time;
}

struct Row {
  const char* layout;
  const char* text;
};

void check_rows(const WallTime& time, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    INFO(row.layout);
    CHECK(format_time(row.layout, time) == row.text);
  }
}

}  // namespace

// The meaning of each element: https://pkg.go.dev/time#pkg-constants.
TEST_CASE("each element of a Go layout stands for its part of the time") {
  check_rows(wall_time(2026, 2, 7, 9, 4, 3, 12'345'000, 3600, "CET"), {{"2006", "2026"},
                                                                       {"06", "26"},
                                                                       {"January", "February"},
                                                                       {"Jan", "Feb"},
                                                                       {"01", "02"},
                                                                       {"1", "2"},
                                                                       {"Monday", "Saturday"},
                                                                       {"Mon", "Sat"},
                                                                       {"02", "07"},
                                                                       {"2", "7"},
                                                                       {"_2", " 7"},
                                                                       {"002", "038"},
                                                                       {"__2", " 38"},
                                                                       {"15", "09"},
                                                                       {"03", "09"},
                                                                       {"3", "9"},
                                                                       {"04", "04"},
                                                                       {"4", "4"},
                                                                       {"05", "03"},
                                                                       {"5", "3"},
                                                                       {"PM", "AM"},
                                                                       {"pm", "am"},
                                                                       {"MST", "CET"},
                                                                       {"-0700", "+0100"},
                                                                       {"-07:00", "+01:00"},
                                                                       {"-07", "+01"},
                                                                       {"-070000", "+010000"},
                                                                       {"-07:00:00", "+01:00:00"},
                                                                       {"Z0700", "+0100"},
                                                                       {"Z07:00", "+01:00"},
                                                                       {"Z07", "+01"},
                                                                       {"Z070000", "+010000"},
                                                                       {"Z07:00:00", "+01:00:00"}});
}

TEST_CASE("afternoons, midnight, late days and offsets west of Greenwich") {
  check_rows(wall_time(1999, 12, 31, 23, 59, 58, 0, -(3 * 3600 + 30 * 60 + 15), "XST"),
             {{"3:04PM", "11:59PM"},
              {"3:04pm", "11:59pm"},
              {"_2 2 002 __2", "31 31 365 365"},
              {"-0700 -07:00 -07 -070000 -07:00:00", "-0330 -03:30 -03 -033015 -03:30:15"},
              {"Monday January", "Friday December"}});
  check_rows(wall_time(2024, 2, 29, 0, 0, 0, 0, 0, "UTC"),
             {{"3 03 PM", "12 12 AM"},
              {"Z0700 Z07:00 Z07 Z070000 Z07:00:00", "Z Z Z Z Z"},
              {"-0700 MST", "+0000 UTC"},
              {"__2 002", " 60 060"}});
  check_rows(wall_time(2024, 2, 29, 12, 0, 0, 0, 19800, ""), {{"3PM", "12PM"}, {"MST", "+0530"}});
  check_rows(wall_time(2024, 2, 29, 12, 0, 0, 0, -7200, nullptr), {{"MST", "-02"}});
}

TEST_CASE("fractions of a second keep their zeros or lose them") {
  check_rows(wall_time(2026, 2, 7, 9, 4, 3, 120'345'000, 0, "UTC"),
             {{"05.0", "03.1"},
              {"05.000", "03.120"},
              {"05,000000", "03,120345"},
              {"05.000000000", "03.120345000"},
              {"05.00000000000", "03.120345000"},
              {"05.999", "03.12"},
              {"05.999999999", "03.120345"},
              {"05,99", "03,12"},
              {"05.0001", "03.0002"}});  // other digits follow: no fraction, and 0001 is 00 and the month
  check_rows(wall_time(2026, 2, 7, 9, 4, 3, 0, 0, "UTC"),
             {{"05.000", "03.000"}, {"05.999", "03"}, {".", "."}});
}

TEST_CASE("text that is no element stays as it is") {
  check_rows(wall_time(2026, 11, 24, 17, 5, 9, 0, 0, "UTC"),
             {{"", ""},
              {"snmp", "snmp"},
              {"./snmp.log", "./snmp.log"},
              {"snmp-20060102.log", "snmp-20261124.log"},
              {"a_2006_b", "a_2026_b"},
              {"_20060102", "_20261124"},
              {"Month Janus Monk", "Month Janus Monk"},
              {"Jan.Mon", "Nov.Tue"},
              {"J M P p Z - _ __ 0 00 07 7 8 9", "J M P p Z - _ __ 0 00 07 7 8 9"},
              {"%Y \xc3\xa9", "%Y \xc3\xa9"},
              {"15h04m05s", "17h05m09s"}});
  const std::string with_nul(
      "20\0"
      "06",
      5);
  CHECK(format_time(with_nul, wall_time(2026, 11, 24, 17, 5, 9, 0, 0, "UTC")) == std::string("240\0"
                                                                                             "26",
                                                                                             6));
}

TEST_CASE("a layout that is cut at any length is taken as far as it goes") {
  const std::string layout = "Monday January _2 002 __2 15:04:05.999999999 -07:00:00 Z07:00:00 MST 2006 PM";
  const WallTime time = wall_time(2026, 2, 7, 9, 4, 3, 120'345'000, 3600, "CET");
  for (std::size_t size = 0; size <= layout.size(); ++size) {
    const std::string whole = format_time(layout.substr(0, size), time);
    CHECK((size == 0) == whole.empty());
  }
  CHECK(format_time(layout, time) ==
        "Saturday February  7 038  38 09:04:03.120345 +01:00:00 +01:00:00 CET 2026 AM");
}

}  // namespace kcptun::time_layout_test
