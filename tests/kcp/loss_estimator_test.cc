#include "core/kcp/loss_estimator.h"

#include <catch2/catch.hpp>

namespace kcptun::loss_estimator_test {
TEST_CASE("a loss estimate follows the path") {
  LossEstimator estimate;
  CHECK(estimate.share() == Approx(LossEstimator::kFirstGuess));
  for (int i = 0; i < 2000; ++i) estimate.handle_unprotected(1, 0);
  CHECK(estimate.share() < 0.0001);
  for (int i = 0; i < 200; ++i) estimate.handle_unprotected(9, 1);
  CHECK(estimate.share() == Approx(0.1).margin(0.01));
  estimate.handle_unprotected(0, 0);
  CHECK(estimate.share() == Approx(0.1).margin(0.01));
}

TEST_CASE("a loss that parity cannot bring back shows before the next copies without parity do") {
  LossEstimator estimate;
  for (int i = 0; i < 2000; ++i) estimate.handle_unprotected(1, 0);
  for (int i = 0; i < 200; ++i) estimate.handle_protected(19, 1);
  CHECK(estimate.share() == Approx(0.05).margin(0.005));
  for (int i = 0; i < 200; ++i) estimate.handle_protected(20, 0);
  CHECK(estimate.share() < 0.0001);
}

}  // namespace kcptun::loss_estimator_test
