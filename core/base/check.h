// Our own faults abort, in every build; the peer's faults are counted and dropped, never checked with this.
#pragma once

#include <cstdlib>

namespace kcptun {

#define KCPTUN_CHECK(condition) \
  do {                          \
    if (!(condition)) [[unlikely]] \
      std::abort();             \
  } while (false)

}  // namespace kcptun
