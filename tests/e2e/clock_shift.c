// Preloaded into a program: its time of day is off by the seconds that the file named in KCPTUN_CLOCK_SHIFT holds, an
// int64, at each look. Its monotonic clock is left alone, as when somebody sets the clock.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t shift(void) {
  static volatile const int64_t* seconds;
  if (!seconds) {
    const char* name = getenv("KCPTUN_CLOCK_SHIFT");
    const int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void* const shared = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    if (shared == MAP_FAILED) abort();
    seconds = shared;
  }
  return *seconds;
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  const int result = (int)syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += shift();
  return result;
}
