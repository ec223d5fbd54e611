// A network namespace for one test. It isolates the test from the machine's network and ends with its thread.
#pragma once

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <string>
#include <thread>

#include <catch2/catch.hpp>

#include "tests/support/left_out.h"

namespace kcptun::test {

/// Runs `body` on a thread with its own network namespace, whose loopback is up. Reports and returns if that
/// is not allowed: it needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
template <typename Body>
void in_own_network(Body body) {
  std::string refusal;
  std::exception_ptr failure;
  std::thread thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      refusal = std::strerror(errno);
      return;
    }
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    const bool up = ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    ::close(fd);
    if (!up) {
      refusal = "no loopback";
      return;
    }
    try {
      body();
    } catch (...) {  // a REQUIRE that failed
      failure = std::current_exception();
    }
  });
  thread.join();
  if (failure) std::rethrow_exception(failure);
  if (!refusal.empty()) left_out("namespaces", refusal);
}

}  // namespace kcptun::test
