// Through what a client's datagrams leave this machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/path.h"
#include "core/base/result.h"

namespace kcptun {

struct Uplink {
  std::optional<IpEndpoint> address;  // port 0; the source address
  std::string interface;              // SO_BINDTODEVICE, "": any
  std::uint32_t mark = 0;             // SO_MARK, 0: none
};

/// Sets mark and interface; leaves alone what the socket has already, because changing it may need a
/// privilege that is gone. The error names the option and the missing capability.
Result<bool> mark_for_uplink(int fd, const Uplink& uplink);

/// The same, and binds the unconnected socket to the address.
Result<bool> bind_to_uplink(int fd, int family, const Uplink& uplink);

}  // namespace kcptun
