#include "core/link/saturation_monitor.h"

#include <catch2/catch.hpp>

namespace kcptun::saturation_monitor_test {
namespace {

using StreamLoad = SaturationMonitor::StreamLoad;

constexpr TimePoint kStart = TimePoint(seconds(1000));
constexpr auto kBulk = SaturationMonitor::kBulkBytes;

TimePoint at(int ms) { return kStart + milliseconds(ms); }

}  // namespace

TEST_CASE("input that waits for a window saturates the session after a while, until none waits") {
  SaturationMonitor monitor;
  monitor.record_waiting(at(0), 1);
  monitor.record_waiting(at(150), 3);
  CHECK_FALSE(monitor.saturated(at(199)));
  CHECK(monitor.saturated(at(200)));
  monitor.record_waiting(at(250), 0);
  CHECK_FALSE(monitor.saturated(at(250)));
  monitor.record_waiting(at(260), 1);
  CHECK_FALSE(monitor.saturated(at(450)));
  CHECK(monitor.saturated(at(460)));
}

TEST_CASE("a stream that moves bulk data for a while saturates the session, and for a second after") {
  SaturationMonitor monitor;
  StreamLoad stream;
  for (int ms = 0; ms < 100; ms += 10) monitor.record(at(ms), stream, kBulk);
  CHECK_FALSE(monitor.saturated(at(99)));  // one burst
  for (int ms = 100; ms < 200; ms += 10) monitor.record(at(ms), stream, kBulk);
  CHECK_FALSE(monitor.saturated(at(199)));  // a burst across the border of two intervals
  monitor.record(at(210), stream, kBulk - 1);
  CHECK_FALSE(monitor.saturated(at(210)));
  monitor.record(at(220), stream, 1);
  CHECK(monitor.saturated(at(220)));
  CHECK(monitor.saturated(at(1219)));
  CHECK_FALSE(monitor.saturated(at(1220)));
}

TEST_CASE("bulk data may pause for some intervals, and not for more") {
  for (const int gap : {3, 4}) {
    SaturationMonitor monitor;
    StreamLoad stream;
    monitor.record(at(0), stream, kBulk);
    monitor.record(at(100 * gap), stream, kBulk);
    CHECK(monitor.saturated(at(100 * gap)) == (gap <= SaturationMonitor::kMaxGap));
  }
}

TEST_CASE("a bulk stream that has ended saturates nothing, and another one still does") {
  SaturationMonitor monitor;
  StreamLoad one, other;
  for (int ms = 0; ms <= 200; ms += 50) monitor.record(at(ms), one, kBulk);
  CHECK(monitor.saturated(at(200)));
  monitor.forget(other);
  CHECK(monitor.saturated(at(200)));
  monitor.forget(one);
  CHECK_FALSE(monitor.saturated(at(200)));
  for (int ms = 200; ms <= 400; ms += 50) monitor.record(at(ms), other, kBulk);
  CHECK(monitor.saturated(at(400)));
}

TEST_CASE("many thin streams do not saturate a session") {
  SaturationMonitor monitor;
  StreamLoad streams[50];
  for (int ms = 0; ms < 2000; ms += 20)
    for (StreamLoad& stream : streams) monitor.record(at(ms), stream, kBulk / 5 - 1);
  CHECK_FALSE(monitor.saturated(at(2000)));
}

}  // namespace kcptun::saturation_monitor_test
