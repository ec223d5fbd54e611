// Prints the line that tells scripts/count_tests.py that a test was skipped because the machine lacks a
// requirement.
#pragma once

#include <cstdio>
#include <string>

#include <catch2/catch.hpp>

namespace kcptun::test {

/// `need` is one of those in tests/e2e/machine.py. A test skipped for a requirement that the machine meets is
/// a failure.
inline void left_out(const std::string& need, const std::string& reason) {
  const std::string name = Catch::getResultCapture().getCurrentTestName();
  std::printf("left out: %s: %s: %s\n", name.c_str(), need.c_str(), reason.c_str());
  std::fflush(stdout);
}

}  // namespace kcptun::test
