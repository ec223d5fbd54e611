// What the C library's allocator keeps. Allocators that keep nothing worth mentioning (musl's) have no such
// settings.
#pragma once

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace kcptun {

/// Blocks from 64 KiB up are mapped and unmapped one by one, so that memory use falls with the load.
inline void set_up_allocator() {
#if defined(__GLIBC__)
  constexpr int kMapFrom = 64 * 1024;
  mallopt(M_MMAP_THRESHOLD, kMapFrom);
  mallopt(M_TRIM_THRESHOLD, 2 * kMapFrom);
  mallopt(M_ARENA_MAX, 2);
#endif
}

/// Returns to the system what has been freed.
inline void return_free_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace kcptun
