// The monotonic clock of the event loops.
#pragma once

#include <time.h>

#include "core/base/time.h"

namespace kcptun {

/// CLOCK_BOOTTIME: it never runs backwards, and it advances while the machine is suspended. A session that
/// the peer has closed in the meantime is therefore over at this end, too. libuv's timers do not advance
/// during suspension; a timer that came due fires at the next wake-up.
inline TimePoint read_clock() {
  timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return TimePoint(seconds(t.tv_sec) + microseconds(t.tv_nsec / 1000));
}

}  // namespace kcptun
