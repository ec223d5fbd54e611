#include "core/kcp/thin_meter.h"

#include <catch2/catch.hpp>

namespace kcptun::thin_meter_test {
namespace {

const TimePoint kStart{seconds(100)};

/// True if a session that sends `bytes` each `gap` is thin after ten seconds.
bool stays_thin(std::size_t bytes, Duration gap) {
  ThinMeter meter;
  bool thin = true;
  for (TimePoint now = kStart; now < kStart + seconds(10); now += gap) {
    meter.handle_sent(now, bytes);
    thin &= meter.is_thin(now);
  }
  return thin;
}

}  // namespace

TEST_CASE("a session is thin up to the rate and not above") {
  CHECK(stays_thin(1000, Duration(1000 * 1000000 / ThinMeter::kRate + 1)));
  CHECK_FALSE(stays_thin(1100, Duration(1000 * 1000000 / ThinMeter::kRate)));
}

TEST_CASE("a burst is permitted, more is not, and soon after bulk the session is thin again") {
  ThinMeter meter;
  CHECK(meter.is_thin(kStart));
  meter.handle_sent(kStart, ThinMeter::kBurst);
  CHECK(meter.is_thin(kStart));
  meter.handle_sent(kStart, 1);
  CHECK_FALSE(meter.is_thin(kStart));
  for (int i = 0; i < 10000; ++i) meter.handle_sent(kStart, 1300);
  CHECK_FALSE(meter.is_thin(kStart + milliseconds(124)));
  CHECK(meter.is_thin(kStart + milliseconds(125)));
}

TEST_CASE("time that runs backwards or stands still drains nothing") {
  ThinMeter meter;
  meter.handle_sent(kStart, ThinMeter::kBurst + 1);
  CHECK_FALSE(meter.is_thin(kStart - seconds(50)));
  CHECK_FALSE(meter.is_thin(kStart));
  CHECK(meter.is_thin(kStart + seconds(1000)));
}

}  // namespace kcptun::thin_meter_test
