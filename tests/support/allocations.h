// Counts what a whole test program takes from the heap by operator new: link allocations.cc.
#pragma once

#include <cstdint>

namespace kcptun::test {

std::uint64_t allocations();

}  // namespace kcptun::test
