#include "core/kcp/bbr/drain.h"

#include <catch2/catch.hpp>

#include "tests/kcp/bbr/support.h"

namespace kcptun::bbr::test::drain_test {

TEST_CASE(
    "Drain is over when no more than the bandwidth-delay product, or the smallest window, is in flight") {
  RoundFeeder feeder;
  feeder.play({});
  const std::uint64_t bdp = feeder.model.bdp(1);
  REQUIRE(bdp == 50'000);
  CHECK(drained_window(feeder.model, bdp - 1) == bdp);
  CHECK(drained_window(feeder.model, bdp + 1) == bdp + 1);
}

TEST_CASE("Drain takes away in a round what a round of Startup queues") {
  CHECK(kDrainGain * kStartupGain == Approx(1));
}

}  // namespace kcptun::bbr::test::drain_test
