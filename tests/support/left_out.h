// The line by which scripts/count_tests.py learns that a test did not run because the machine lacks what it needs.
#pragma once

#include <cstdio>
#include <string>

#include <catch2/catch.hpp>

namespace kcptun::test {

/// `need` is one of those in tests/e2e/machine.py; a test left out for want of one that the machine has is a failure.
inline void left_out(const std::string& need, const std::string& reason) {
  const std::string name = Catch::getResultCapture().getCurrentTestName();
  std::printf("left out: %s: %s: %s\n", name.c_str(), need.c_str(), reason.c_str());
  std::fflush(stdout);
}

}  // namespace kcptun::test
