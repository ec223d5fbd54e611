// Counts the heap allocations of a test program by operator new. Link allocations.cc.
#pragma once

#include <cstdint>

namespace kcptun::test {

std::uint64_t allocations();

}  // namespace kcptun::test
