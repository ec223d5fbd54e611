/* Preloaded where the tests lack CAP_SYS_PTRACE: a program that makes itself undumpable stays dumpable, so that its owner
   can count its descriptors and read its environment in /proc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/prctl.h>

int prctl(int option, ...) {
  static int undumpable;
  int (*real)(int, ...) = (int (*)(int, ...))dlsym(RTLD_NEXT, "prctl");
  va_list arguments;
  va_start(arguments, option);
  unsigned long given[4];
  for (int i = 0; i < 4; ++i) given[i] = va_arg(arguments, unsigned long);
  va_end(arguments);
  if (option == PR_SET_DUMPABLE) {
    undumpable = given[0] == 0;
    return 0;
  }
  if (option == PR_GET_DUMPABLE && undumpable) return 0;
  return real(option, given[0], given[1], given[2], given[3]);
}
