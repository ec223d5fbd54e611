// Go's time layouts, for the file names of kcptun's snmplog.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace kcptun {

/// A local time.
struct WallTime {
  std::tm fields;        // with tm_gmtoff and tm_zone, as localtime_r() sets them
  long nanoseconds = 0;  // 0..999999999
};

/// Formats `time`: replaces each element of Go's reference time, Mon Jan 2 15:04:05.000000000 -0700 MST 2006,
/// in `layout` by its value, and keeps all other text. The elements and their nesting are those of
/// Time.Format in Go's package `time` (https://pkg.go.dev/time#pkg-constants): 2006 06, January Jan 01 1,
/// Monday Mon, 02 2 _2 002 __2, 15 03 3, 04 4, 05 5, PM pm, MST, -0700 -07:00 -07 -070000 -07:00:00 and the
/// same with Z, .000 .999 and with a comma.
std::string format_time(std::string_view layout, const WallTime& time);

}  // namespace kcptun
