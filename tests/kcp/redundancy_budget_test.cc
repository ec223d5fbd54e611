#include "core/kcp/redundancy_budget.h"

#include <catch2/catch.hpp>

namespace kcptun::redundancy_budget_test {
namespace {

constexpr PathEstimate kPath{.bandwidth = 1'000'000, .round_trip = milliseconds(50)};
const TimePoint kStart{seconds(100)};

}  // namespace

TEST_CASE("idle time becomes room, from its begin to the next departure") {
  RedundancyBudget room;
  room.end_idle(kStart, kPath);
  CHECK(room.bytes() == 0);
  room.begin_idle(kStart);
  room.begin_idle(kStart + milliseconds(5));  // still idle
  room.end_idle(kStart + milliseconds(10), kPath);
  CHECK(room.bytes() == 10'000);
  room.end_idle(kStart + milliseconds(20), kPath);  // it was not
  CHECK(room.bytes() == 10'000);
}

TEST_CASE("room is kept for a round trip's idle time at most, and spent as far as there is any") {
  RedundancyBudget room;
  room.begin_idle(kStart);
  room.end_idle(kStart + milliseconds(50), kPath);
  CHECK(room.bytes() == 50'000);
  room.begin_idle(kStart + seconds(1));
  room.end_idle(kStart + seconds(2), kPath);
  CHECK(room.bytes() == 50'000);
  room.spend(20'000);
  CHECK(room.bytes() == 30'000);
  room.spend(40'000);
  CHECK(room.bytes() == 0);
}

TEST_CASE("a path of which nothing is known has no room") {
  RedundancyBudget room;
  room.begin_idle(kStart);
  room.end_idle(kStart + seconds(1), {});
  CHECK(room.bytes() == 0);
}

}  // namespace kcptun::redundancy_budget_test
