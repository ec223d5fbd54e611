#include "core/link/replay_cache.h"

#include <catch2/catch.hpp>

namespace kcptun::test::replay_cache_test {
namespace {

constexpr UnixTime kWall{seconds(1700000000)};

}  // namespace

TEST_CASE("clocks may differ by the documented seconds and no more") {
  ReplayCache replay_cache(TimePoint{} - seconds(86400));
  const auto open = [&](std::int64_t ahead, std::uint64_t session) {
    return replay_cache.open(TimePoint{}, kWall, {session, static_cast<std::uint32_t>(1700000000 + ahead)});
  };
  CHECK(open(5, 1) == SessionRefusal::kNone);
  CHECK(open(6, 2) == SessionRefusal::kEarly);
  CHECK(open(-120, 3) == SessionRefusal::kNone);
  CHECK(open(-121, 4) == SessionRefusal::kLate);
  CHECK(open(0, 1) == SessionRefusal::kKnown);
  CHECK(replay_cache.size() == 2);
}

TEST_CASE(
    "a clock that was wrong at the start and set right keeps no client out, whichever way it was wrong") {
  ReplayCache replay_cache{TimePoint{}};
  const std::int64_t by = GENERATE(-3600, 3600);
  // A minute later, by the right clock, a session that is new; and one from before the start.
  const TimePoint now{seconds(60)};
  const UnixTime right = kWall + seconds(by);
  const auto stamp = static_cast<std::uint32_t>(right.time_since_epoch().count());
  CHECK(replay_cache.open(now, right, {1, stamp}) == SessionRefusal::kNone);
  CHECK(replay_cache.open(now, right, {2, stamp - 61}) == SessionRefusal::kServerJustStarted);
}

TEST_CASE("no recording is accepted when the clock is set back") {
  ReplayCache replay_cache(TimePoint{} - seconds(86400));
  TimePoint now{};
  REQUIRE(replay_cache.open(now, kWall, {1, 1700000000}) == SessionRefusal::kNone);
  replay_cache.end(now, 1, 1700000100);
  now += ReplayCache::kKeep + seconds(1);
  REQUIRE(replay_cache.open(now, kWall + seconds(128), {2, 1700000128}) == SessionRefusal::kNone);
  CHECK(replay_cache.size() == 1);
  CHECK(replay_cache.open(now, kWall, {1, 1700000000}) == SessionRefusal::kServerJustStarted);
  CHECK(replay_cache.open(now, kWall + seconds(95), {1, 1700000100}) == SessionRefusal::kServerJustStarted);
  CHECK(replay_cache.open(now, kWall + seconds(96), {3, 1700000101}) == SessionRefusal::kNone);
}

TEST_CASE("the cache is bounded: a session that is evicted leaves its time stamp behind") {
  ReplayCache replay_cache(TimePoint{} - seconds(86400), 3);
  TimePoint now{};
  for (std::uint64_t session = 1; session <= 3; ++session)
    REQUIRE(replay_cache.open(now, kWall, {session, 1700000000}) == SessionRefusal::kNone);
  CHECK(replay_cache.open(now, kWall, {4, 1700000000}) == SessionRefusal::kFull);
  replay_cache.end(now, 2, 1700000001);
  replay_cache.end(now, 2, 1700000009);   // twice is once
  replay_cache.end(now, 77, 1700000009);  // never open
  CHECK(replay_cache.open(now, kWall, {4, 1700000000}) == SessionRefusal::kServerJustStarted);
  CHECK(replay_cache.open(now, kWall, {5, 1700000002}) == SessionRefusal::kNone);
  CHECK(replay_cache.open(now, kWall, {2, 1700000001}) == SessionRefusal::kServerJustStarted);
  CHECK(replay_cache.size() <= 3);
}

}  // namespace kcptun::test::replay_cache_test
