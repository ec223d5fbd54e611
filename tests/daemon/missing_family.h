// A thread without one address family, as on a host without IPv6: socket() fails with EAFNOSUPPORT.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>

#include <catch2/catch.hpp>

#include "tests/support/left_out.h"

namespace kcptun::test {

/// Keeps the calling thread from opening sockets of `family`. False if the system does not support such a
/// filter.
inline bool forbid_family(int family) {
  constexpr std::uint32_t kFirstArgument =
      offsetof(seccomp_data, args);  // its low half, on little-endian machines
  std::array<sock_filter, 6> program{{
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, SYS_socket},
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, kFirstArgument},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(family)},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EAFNOSUPPORT},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  }};
  const sock_fprog filter{program.size(), program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// Runs `body` on a thread without the family. Reports and returns if that is not allowed.
template <typename Body>
void without_family(int family, Body body) {
  bool forbidden = false;
  std::exception_ptr failure;
  std::thread thread([&] {
    forbidden = forbid_family(family);
    if (!forbidden) return;
    try {
      body();
    } catch (...) {  // a REQUIRE that failed
      failure = std::current_exception();
    }
  });
  thread.join();
  if (failure) std::rethrow_exception(failure);
  if (!forbidden) left_out("seccomp", "no seccomp filter");
}

}  // namespace kcptun::test
