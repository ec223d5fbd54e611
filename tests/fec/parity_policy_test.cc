#include "core/fec/parity_policy.h"

#include <catch2/catch.hpp>

namespace kcptun::parity_policy_test {

TEST_CASE("a group gets the parity that keeps its failures rare") {
  CHECK(parity_for(10, 3, 0, 0.02) == 0);
  CHECK(parity_for(10, 3, 0.001, 0.02) == 0);  // one group in a hundred loses a packet
  CHECK(parity_for(10, 3, 0.01, 0.02) == 1);
  CHECK(parity_for(10, 3, 0.05, 0.02) == 2);
  CHECK(parity_for(10, 3, 0.1, 0.02) == 3);
  CHECK(parity_for(10, 3, 0.9, 0.02) == 3);
  CHECK(parity_for(10, 3, 1, 0.02) == 3);
  CHECK(parity_for(1, 255, 0.5, 0.02) == 5);  // all six are lost in one of 64 groups
}

TEST_CASE(
    "parity is left out when bandwidth is short, when it would come too late, and while loss is measured") {
  ParityPolicy policy({10, 3});
  const ParityPolicy::Conditions lossy{ParityPolicy::kMeasuredGroups, 0.01, 100, 100};
  CHECK(policy.next_group(lossy) == 2);
  ParityPolicy::Conditions other = lossy;
  other.idle_capacity = 1;
  CHECK(policy.next_group(other) == 1);
  other.idle_capacity = 0;
  CHECK(policy.next_group(other) == 0);
  other = lossy;
  other.in_flight = 4;
  CHECK(policy.next_group(other) == 0);
  other.in_flight = 5;
  CHECK(policy.next_group(other) == 2);
  other = lossy;
  other.loss = 0.05;
  CHECK(policy.next_group(other) == 3);
  other = lossy;
  other.loss = 0;
  CHECK(policy.next_group(other) == 0);
  std::uint32_t measured = 0;
  for (std::uint32_t group = 0; group < 3 * ParityPolicy::kMeasurePeriod; ++group) {
    other = lossy;
    other.group = group;
    measured += policy.next_group(other) == 0;
  }
  CHECK(measured == 3 * ParityPolicy::kMeasuredGroups);
}

}  // namespace kcptun::parity_policy_test
