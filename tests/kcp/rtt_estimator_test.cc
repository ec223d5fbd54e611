#include "core/kcp/rtt_estimator.h"

#include <catch2/catch.hpp>

namespace kcptun::rtt_estimator_test {

TEST_CASE("before the first sample the time-out is 200 ms") {
  const RttEstimator rtt(milliseconds(100), milliseconds(30));
  CHECK(rtt.timeout() == milliseconds(200));
  CHECK_FALSE(rtt.smoothed());
  CHECK_FALSE(rtt.minimum());
}

TEST_CASE("the first sample is the estimate and half of it the variation (RFC 6298 section 2.2)") {
  RttEstimator rtt(milliseconds(100), milliseconds(30));
  rtt.add_sample(TimePoint{}, milliseconds(100));
  CHECK(rtt.smoothed() == milliseconds(100));
  CHECK(rtt.variation() == milliseconds(50));
  CHECK(rtt.timeout() == milliseconds(300));
}

TEST_CASE(
    "later samples move the estimate by an eighth and the variation by a quarter (RFC 6298 section 2.3)") {
  RttEstimator rtt(milliseconds(100), milliseconds(30));
  rtt.add_sample(TimePoint{}, milliseconds(100));
  rtt.add_sample(TimePoint{}, milliseconds(180));
  CHECK(rtt.variation() == microseconds(57500));  // (3 * 50 + 80) / 4
  CHECK(rtt.smoothed() == milliseconds(110));     // (7 * 100 + 180) / 8
  CHECK(rtt.timeout() == milliseconds(340));
  CHECK(rtt.minimum() == milliseconds(100));
}

TEST_CASE("a steady path has the interval as margin, and no time-out below the floor") {
  const Duration floor = GENERATE(Duration(milliseconds(100)), Duration(milliseconds(30)));
  RttEstimator rtt(floor, milliseconds(10));
  for (int i = 0; i < 200; ++i) rtt.add_sample(TimePoint{}, milliseconds(5));
  CHECK(rtt.timeout() == floor);
  for (int i = 0; i < 400; ++i) rtt.add_sample(TimePoint{}, milliseconds(500));
  CHECK(rtt.timeout() <= milliseconds(511));
  CHECK(rtt.timeout() >= milliseconds(509));
}

TEST_CASE("the time-out has a ceiling of 60 s") {
  RttEstimator rtt(milliseconds(100), milliseconds(30));
  rtt.add_sample(TimePoint{}, seconds(50));
  CHECK(rtt.timeout() == seconds(60));
}

TEST_CASE("a sample of no time at all counts as the shortest") {
  RttEstimator rtt(milliseconds(30), milliseconds(10));
  rtt.add_sample(TimePoint{}, Duration(0));
  CHECK(rtt.smoothed() == Duration(1));
  rtt.add_sample(TimePoint{}, Duration(-5));
  CHECK(rtt.minimum() == Duration(1));
  CHECK(rtt.timeout() == milliseconds(30));
}

TEST_CASE("the smallest round trip of before a path became longer is forgotten after 5 to 10 s") {
  RttEstimator rtt(milliseconds(100), milliseconds(30));
  TimePoint now{seconds(100)};
  for (; now < TimePoint(seconds(103)); now += milliseconds(10)) rtt.add_sample(now, milliseconds(10));
  const TimePoint longer = now;
  while (rtt.minimum() == milliseconds(10)) rtt.add_sample(now += milliseconds(10), milliseconds(150));
  CHECK(rtt.minimum() == milliseconds(150));
  CHECK(now - longer >= RttEstimator::kMinimumAge);
  CHECK(now - longer <= 2 * RttEstimator::kMinimumAge);
  rtt.add_sample(now, milliseconds(20));  // a shorter one counts at once
  CHECK(rtt.minimum() == milliseconds(20));
}

}  // namespace kcptun::rtt_estimator_test
