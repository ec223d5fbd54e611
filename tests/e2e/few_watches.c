// A kernel without watches left (epoll_ctl(2), ENOSPC), as long as the file that FEW_WATCHES names exists: loaded into a
// program with LD_PRELOAD, since the real limit, fs.epoll.max_user_watches, is one of the whole machine's user.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

int epoll_ctl(int epfd, int op, int fd, struct epoll_event* event) {
  static int (*real)(int, int, int, struct epoll_event*);
  if (!real) real = (int (*)(int, int, int, struct epoll_event*))dlsym(RTLD_NEXT, "epoll_ctl");
  const char* name = getenv("FEW_WATCHES");
  if (op == EPOLL_CTL_ADD && name && access(name, F_OK) == 0) {
    errno = ENOSPC;
    return -1;
  }
  return real(epfd, op, fd, event);
}
