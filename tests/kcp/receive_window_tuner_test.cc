#include "core/kcp/receive_window_tuner.h"

#include <catch2/catch.hpp>

namespace kcptun::receive_window_tuner_test {
namespace {

constexpr Duration kRtt = milliseconds(50);
const TimePoint kStart{seconds(100)};

void arrive(ReceiveWindowTuner& tuner, int count) {
  for (; count > 0; --count) tuner.add_arrival();
}

}  // namespace

TEST_CASE("the receive window grows to four times what arrives in a round trip, up to the maximum") {
  ReceiveWindowTuner tuner(1000);
  tuner.end_batch(kStart, 128, kRtt);
  arrive(tuner, 100);
  CHECK_FALSE(tuner.end_batch(kStart + kRtt - Duration(1), 128, kRtt));
  CHECK(tuner.end_batch(kStart + kRtt, 128, kRtt) == 400u);
  arrive(tuner, 100);
  CHECK_FALSE(tuner.end_batch(kStart + 3 * kRtt, 400, kRtt));  // in two round trips: half the rate
  arrive(tuner, 1000);
  CHECK(tuner.end_batch(kStart + 4 * kRtt, 400, kRtt) == 1000u);
  arrive(tuner, 1000);
  CHECK_FALSE(tuner.end_batch(kStart + 5 * kRtt, 1000, kRtt));
}

TEST_CASE(
    "a maximum below the window leaves it as it is, and without samples a round trip of 100 ms is assumed") {
  ReceiveWindowTuner tuner(0);
  tuner.end_batch(kStart, 128, kRtt);
  arrive(tuner, 1000);
  CHECK_FALSE(tuner.end_batch(kStart + kRtt, 128, kRtt));
  tuner.set_max(100000);
  tuner.end_batch(kStart + seconds(1), 128, kRtt);  // begins a measurement
  arrive(tuner, 100);
  CHECK_FALSE(tuner.end_batch(kStart + seconds(1) + milliseconds(99), 128, std::nullopt));
  CHECK(tuner.end_batch(kStart + seconds(1) + milliseconds(100), 128, std::nullopt) == 400u);
}

}  // namespace kcptun::receive_window_tuner_test
