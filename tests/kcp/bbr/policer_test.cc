#include "core/kcp/bbr/policer.h"

#include <catch2/catch.hpp>

#include "tests/kcp/bbr/policed_path.h"

namespace kcptun::bbr::test::policer_test {
namespace {

constexpr double kRate = 1'250'000;  // bytes per second: 10 Mbit/s

/// A sender that heeds the policer's rate and else sends `wish` bytes per second.
struct Sender {
  explicit Sender(double rate) : wish(rate) {}

  void run(Duration time, bool filled = true) {
    for (const TimePoint end = path.now() + time; path.now() < end;) {
      const double rate =
          policer.conserves() ? arriving : std::min(wish, static_cast<double>(policer.rate()));
      path.step(rate, [&](const Batch& batch) {
        arriving = static_cast<double>(batch.acked.bytes) * 200;
        policer.handle_batch(path.model(), losses, batch, filled);
        suspected |= policer.suspects();
      });
    }
  }

  PolicedPath path;
  LossModel losses;
  Policer policer;
  double wish;
  double arriving = 0;
  bool suspected = false;
};

}  // namespace

TEST_CASE("losses that stop when a little less is sent than arrives are a policer's") {
  const double excess = GENERATE(1.25, 2.0, 10.0);
  CAPTURE(excess);
  Sender sender(kRate * excess);
  sender.path.limit = static_cast<std::uint64_t>(kRate);
  sender.run(seconds(2));
  CHECK(sender.policer.limits());
  CHECK(static_cast<double>(sender.policer.rate()) == Approx(kRate).epsilon(0.08));
  sender.run(seconds(10));
  CHECK(sender.policer.limits());
  CHECK(static_cast<double>(sender.policer.rate()) == Approx(kRate).epsilon(0.08));
}

TEST_CASE("a policer that has gone limits nothing after some seconds") {
  Sender sender(kRate * 3);
  sender.path.limit = static_cast<std::uint64_t>(kRate);
  sender.run(seconds(4));
  REQUIRE(sender.policer.limits());
  sender.path.limit = CongestionController::kUnlimited;
  sender.run(seconds(3));
  CHECK_FALSE(sender.policer.suspects());
  CHECK(sender.policer.rate() == CongestionController::kUnlimited);
}

TEST_CASE("a path that loses as much of less is tested once, and its loss is known") {
  const double loss = GENERATE(0.1, 0.3);
  CAPTURE(loss);
  Sender sender(kRate);
  sender.path.loss = loss;
  sender.run(seconds(2));
  CHECK(sender.suspected);
  CHECK_FALSE(sender.policer.suspects());
  CHECK(sender.losses.measured());
  CHECK(sender.losses.bound() > loss);
  sender.suspected = false;
  sender.run(seconds(20));
  CHECK_FALSE(sender.suspected);
}

TEST_CASE("losses that were measured before are no suspicion, nor are losses with a queue") {
  Sender known(kRate);
  known.path.loss = 0.1;
  known.losses.measure(1000, 100);
  known.run(seconds(10));
  CHECK_FALSE(known.suspected);
  Sender queued(kRate * 2);
  queued.run(seconds(1));
  queued.path.rtt = milliseconds(80);
  queued.run(seconds(1));
  queued.path.limit = static_cast<std::uint64_t>(kRate);
  queued.run(seconds(10));
  CHECK_FALSE(queued.suspected);
}

TEST_CASE("while Startup sends more than the path takes, only an overwhelming loss is a suspicion") {
  Sender some(kRate * 2);
  some.path.limit = static_cast<std::uint64_t>(kRate);
  some.run(seconds(5), false);
  CHECK_FALSE(some.suspected);
  Sender most(kRate * 10);
  most.path.limit = static_cast<std::uint64_t>(kRate);
  most.run(seconds(5), false);
  CHECK(most.suspected);
}

TEST_CASE("bursts of losses are few events, and no suspicion") {
  Policer policer;
  LossModel losses;
  PolicedPath path;
  for (int i = 0; i < 4000; ++i) {
    path.loss = i % 100 < 5 ? 1 : 0;  // 5 % in bursts of 25 ms
    path.step(kRate * 4, [&](Batch batch) {
      batch.events = batch.lost > 0 ? 1 : 0;
      policer.handle_batch(path.model(), losses, batch, true);
      CHECK_FALSE(policer.suspects());
    });
  }
}

}  // namespace kcptun::bbr::test::policer_test
