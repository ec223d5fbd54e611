#include "core/kcp/bbr/loss_model.h"

#include <catch2/catch.hpp>

namespace kcptun::bbr::loss_model_test {
namespace {

/// One cycle of rounds that lose `lost` of 100 packets, the last one `least`.
void play_cycle(LossModel& losses, std::uint64_t lost, std::uint64_t least) {
  for (std::size_t i = 1; i < kCycleLength; ++i) losses.handle_round({.acked = 100 - lost, .lost = lost});
  losses.handle_round({.acked = 100 - least, .lost = least});
}

}  // namespace

TEST_CASE("the path's loss is that of the best round of a cycle, a quarter at most") {
  LossModel losses;
  for (std::size_t i = 1; i < kCycleLength; ++i) losses.handle_round({.acked = 90, .lost = 10});
  CHECK(losses.share() == 0);
  losses.handle_round({.acked = 97, .lost = 3});
  CHECK(losses.share() == Approx(0.03));
  play_cycle(losses, 60, 50);
  CHECK(losses.share() == Approx(0.25));
}

TEST_CASE("a round of few packets tells nothing about the loss") {
  LossModel losses;
  for (int i = 0; i < 100; ++i) losses.handle_round({.acked = kLossSamples - 2, .lost = 1});
  CHECK(losses.share() == 0);
  for (std::size_t i = 0; i < kCycleLength; ++i) losses.handle_round({.acked = kLossSamples - 1, .lost = 1});
  CHECK(losses.share() == Approx(1.0 / kLossSamples));
}

TEST_CASE("losses that stop when less is sent are not the path's own") {
  LossModel losses;
  CHECK_FALSE(losses.measured());
  losses.measure(63, 0);
  CHECK_FALSE(losses.measured());
  losses.measure(1, 0);
  CHECK(losses.measured());
  CHECK(losses.bound() == Approx(3.0 / 64));
  losses.measure(236, 0);
  play_cycle(losses, 10, 10);
  CHECK(losses.share() == Approx(0.01));  // of 300 packets none was lost
}

TEST_CASE("what was measured long ago weighs less") {
  LossModel losses;
  losses.measure(1000, 100);
  for (int i = 0; i < 20; ++i) losses.measure(1000, 0);
  CHECK(losses.bound() < 0.01);
}

}  // namespace kcptun::bbr::loss_model_test
