// What the process may do, given up as far as it can be: at the start what no tunnel needs, once the ports
// are bound all but what later connections need (docs/security.md).
#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "daemon/system/identity.h"

namespace kcptun {

/// At the very start: no program that is executed gains privileges, no core dump and no debugger of the same
/// user gets at the memory. The error says what the kernel refused.
Result<bool> harden_process();

/// Capabilities as a set of bits, 1 << CAP_...
using Capabilities = std::uint64_t;

/// Once the ports are bound and before any thread starts: becomes `identity` if there is one (null: nobody), and
/// keeps only `needed` of the capabilities, ambient ones of an ordinary user too, then makes sure that it is so.
/// False: an ordinary user keeps what was given to it, since a filter of system calls forbids capset(2); no program
/// that is executed gets it. The error says what could not be given up; the process must end then.
Result<bool> drop_privileges(const Identity* identity, Capabilities needed);

/// What a tunnel that is open may still need: nothing for a user of its own; root's files for one that stays
/// root. `binds_low_ports`: a port below 1024, which a configuration that is read again may bind anew.
/// `tcp_mode`: raw sockets, firewall rules and the numbers of connections, for each that comes.
struct LaterNeeds {
  bool stays_root = false;
  bool binds_low_ports = false;
  bool tcp_mode = false;
};
Capabilities capabilities_for(LaterNeeds needs);

}  // namespace kcptun
