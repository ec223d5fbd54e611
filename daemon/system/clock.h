// The clock that everything in the loops goes by.
#pragma once

#include <time.h>

#include "core/base/time.h"

namespace kcptun {

/// It never goes back, and it goes on while the machine sleeps, as the peer's clock does: sessions that the peer has
/// given up meanwhile are over here, too. Timers of libuv stand still then; what was due has its turn at the next wake-up.
inline TimePoint read_clock() {
  timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return TimePoint(seconds(t.tv_sec) + microseconds(t.tv_nsec / 1000));
}

}  // namespace kcptun
