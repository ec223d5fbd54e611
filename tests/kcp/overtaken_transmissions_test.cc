#include "core/kcp/overtaken_transmissions.h"

#include <catch2/catch.hpp>

namespace kcptun::overtaken_transmissions_test {
namespace {

const TimePoint kStart{seconds(100)};

std::uint32_t lost(const FirstOutcomes& outcomes) { return outcomes[FirstOutcome::kUnprotectedLost]; }

}  // namespace

TEST_CASE("a transmission whose own acknowledgement comes in time has arrived, another one is lost") {
  OvertakenTransmissions overtaken;
  FirstOutcomes outcomes;
  overtaken.add(kStart, 7, 1000, FirstOutcome::kUnprotectedLost);
  overtaken.add(kStart, 8, 1000, FirstOutcome::kUnprotectedLost);
  overtaken.add(kStart, 9, 1000, FirstOutcome::kProtectedLost);
  CHECK(overtaken.handle_ack(7, 1005) == FirstOutcome::kUnknown);  // another copy
  CHECK(overtaken.handle_ack(6, 1000) == FirstOutcome::kUnknown);
  CHECK(overtaken.handle_ack(7, 1000) == FirstOutcome::kUnprotectedArrived);
  CHECK(overtaken.handle_ack(7, 1000) == FirstOutcome::kUnknown);
  CHECK(overtaken.handle_ack(9, 1000) == FirstOutcome::kProtectedArrived);
  overtaken.take_lost(kStart + OvertakenTransmissions::kPatience - Duration(1), outcomes);
  CHECK(lost(outcomes) == 0);
  overtaken.take_lost(kStart + OvertakenTransmissions::kPatience, outcomes);
  CHECK(lost(outcomes) == 1);
  overtaken.take_lost(kStart + seconds(9), outcomes);
  CHECK(lost(outcomes) == 1);
}

TEST_CASE("no more outcomes are held back than the limit") {
  OvertakenTransmissions overtaken;
  FirstOutcomes outcomes;
  for (std::uint32_t sn = 0; sn < OvertakenTransmissions::kMaxOpen + 3; ++sn)
    overtaken.add(kStart, sn, 1000, FirstOutcome::kUnprotectedLost);
  overtaken.take_lost(kStart, outcomes);
  CHECK(lost(outcomes) == 3);
  CHECK(overtaken.handle_ack(2, 1000) == FirstOutcome::kUnknown);
  CHECK(overtaken.handle_ack(3, 1000) == FirstOutcome::kUnprotectedArrived);
}

}  // namespace kcptun::overtaken_transmissions_test
