// Finds the ports of a range that other programs use.
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

/// The ports from `address.port` to `port_max` that can be bound. If none can, returns all of them, so that
/// the later bind reports the error. A range of one port is not probed. Only ports in use are omitted; bind
/// reports other errors. `counts_as_free` may be empty; it returns true for an address that counts as free.
std::vector<std::uint16_t> free_ports(IpEndpoint address, std::uint16_t port_max, PortKind kind,
                                      const std::function<bool(const IpEndpoint&)>& counts_as_free = {});

/// Formats ports as "3, 5-7". REQUIRES: `ports` in ascending order.
std::string ports_text(std::span<const std::uint16_t> ports);

/// A range of consecutive ports.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
};
/// REQUIRES: `ports` in ascending order.
std::vector<PortRange> ranges_of(std::span<const std::uint16_t> ports);

}  // namespace kcptun
