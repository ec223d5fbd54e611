#include "core/link/rate_limiter.h"

#include <catch2/catch.hpp>

namespace kcptun::rate_limiter_test {
namespace {

const TimePoint kStart{seconds(100)};

}  // namespace

TEST_CASE("a limited sender keeps to its rate, however often it polls") {
  const std::size_t size = GENERATE(40, 1350, 9000);
  RateLimiter limiter(1'000'000, kStart);
  std::size_t sent = 0;
  TimePoint now = kStart;
  while (now < kStart + seconds(10)) {
    for (; limiter.allows(now); sent += size) limiter.charge(size);
    const TimePoint ready = limiter.ready_at();
    REQUIRE(ready > now);
    CHECK_FALSE(limiter.allows(ready - microseconds(2)));
    now = ready;
    CHECK(limiter.allows(now));
  }
  CHECK(sent >= 10'000'000);
  CHECK(sent <= 10'000'000 + 5'000 + size);  // 5 ms at once, and one packet of debt
}

TEST_CASE("what was not sent is saved up for 5 ms and no longer") {
  RateLimiter limiter(1'000'000, kStart);
  for (const Duration idle : {seconds(1), seconds(3600)}) {
    const TimePoint now = kStart + idle;
    std::size_t sent = 0;
    for (; limiter.allows(now); sent += 100) limiter.charge(100);
    CHECK(sent == 5'000);
  }
}

TEST_CASE("a clock that stands still, or goes back, gives nothing") {
  RateLimiter limiter(1'000'000, kStart);
  limiter.charge(6'000);
  CHECK_FALSE(limiter.allows(kStart));
  CHECK_FALSE(limiter.allows(kStart - seconds(1)));
  CHECK(limiter.ready_at() == kStart + microseconds(1'001));
}

}  // namespace kcptun::rate_limiter_test
