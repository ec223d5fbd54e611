#include "core/kcp/bbr/policer.h"

#include <catch2/catch.hpp>

#include "tests/kcp/bbr/support.h"

namespace kcptun::bbr::test {
namespace {

struct Policed {
  /// Rounds until `rounds` have been played or the policer's rate is as wanted; returns how many.
  int play_until(bool limited, int rounds, RoundFacts facts) {
    for (int i = 1; i <= rounds; ++i) {
      const AckedEvent acked = feeder.play(facts);
      policer.handle_round(feeder.model, losses, acked);
      if ((policer.rate() != CongestionController::kUnlimited) == limited) return i;
    }
    return 0;
  }

  RoundFeeder feeder;
  LossModel losses;
  Policer policer;
};

constexpr RoundFacts kDropping{.packets = 100, .lost = 30, .loss_events = 10};

}  // namespace

TEST_CASE("losses without a queue that stop when less is sent are a policer's: its average is the rate") {
  Policed path;
  path.losses.measure(1000, 0);
  REQUIRE(path.play_until(true, 20, kDropping) > 0);
  CHECK(path.policer.rate() == Approx(100 * kPacket * 20).epsilon(0.01));  // 100 packets in 50 ms
  CHECK(path.play_until(false, 100, kDropping) == 48);
  REQUIRE(path.play_until(true, 20, kDropping) > 0);  // it is still there
  CHECK(path.play_until(false, 200, kDropping) == 96);
  CHECK(path.play_until(true, 100, {}) == 0);
}

TEST_CASE("no policer is suspected before the path's own loss was measured, or with a queue") {
  Policed unmeasured;
  CHECK(unmeasured.play_until(true, 100, kDropping) == 0);
  Policed queued;
  queued.losses.measure(1000, 0);
  queued.feeder.play({});
  RoundFacts facts = kDropping;
  facts.rtt = milliseconds(80);
  CHECK(queued.play_until(true, 100, facts) == 0);
}

}  // namespace kcptun::bbr::test
