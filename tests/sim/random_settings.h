// Random settings, networks and applications from a seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/sim_pair.h"

namespace kcptun::test {

struct RandomCase {
  explicit RandomCase(std::uint64_t seed);
  /// The settings in one line, for failure messages.
  std::string text() const;

  SimSettings settings;
  std::vector<FlowPlan> plans;
};

}  // namespace kcptun::test
