// Aborts on a bug of this program, in every build. Errors of the peer are counted and dropped, never checked
// with this.
#pragma once

#include <cstdlib>

namespace kcptun {

#define KCPTUN_CHECK(condition)    \
  do {                             \
    if (!(condition)) [[unlikely]] \
      std::abort();                \
  } while (false)

}  // namespace kcptun
