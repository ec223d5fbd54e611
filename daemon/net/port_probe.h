// Which ports of a range other programs have.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base/path.h"
#include "core/base/result.h"

namespace kcptun {

enum class PortKind : std::uint8_t { kUdp, kTcp };

/// The ports from `address.port` to `port_max` that can be bound there. All of them if none can, so that binding says
/// why not; a range of one port is not probed. Only ports that are in use are left out: other refusals are for the
/// binding to report. `ours`, which may be empty: true of an address that is as good as free.
std::vector<std::uint16_t> free_ports(IpEndpoint address, std::uint16_t port_max, PortKind kind,
                                      const std::function<bool(const IpEndpoint&)>& ours = {});

/// "3, 5-7" of ports in ascending order.
std::string ports_text(std::span<const std::uint16_t> ports);

/// Consecutive ports.
struct PortStretch {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
};
/// REQUIRES: `ports` in ascending order.
std::vector<PortStretch> stretches_of(std::span<const std::uint16_t> ports);

}  // namespace kcptun
