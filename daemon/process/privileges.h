// Drops the process's privileges: at the start those that no tunnel needs, and once the ports are bound all
// except those that later connections need (docs/security.md).
#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "daemon/system/identity.h"

namespace kcptun {

/// Call it first in main. Executed programs gain no privileges, and the memory is protected from core dumps
/// and from debuggers of the same user. The error gives the kernel's reason.
Result<bool> harden_process();

/// A set of capabilities as a bit mask, 1 << CAP_...
using Capabilities = std::uint64_t;

/// Call it once the ports are bound and before any thread starts. Switches to `identity` (null: no switch),
/// drops all capabilities except `needed`, ambient ones of an ordinary user included, and verifies the
/// result. False: an ordinary user keeps its capabilities because a seccomp filter forbids capset(2);
/// executed programs do not get them. The error names the privilege that could not be dropped; the process
/// must then exit.
Result<bool> drop_privileges(const Identity* identity, Capabilities needed);

/// The privileges that an open tunnel may still need. None if it runs as its own user; access to root's files
/// if it stays root. `binds_low_ports`: a reload may bind a port below 1024. `tcp_mode`: raw sockets,
/// firewall rules and TCP repair mode for each new connection. `answers_for_others`: sockets with addresses
/// of other machines, for the UDP of tproxy forwards.
struct LaterNeeds {
  bool stays_root = false;
  bool binds_low_ports = false;
  bool tcp_mode = false;
  bool answers_for_others = false;
};
Capabilities capabilities_for(LaterNeeds needs);

}  // namespace kcptun
