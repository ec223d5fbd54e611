// What one tunnel of a file takes from another.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "config/command.h"
#include "config/settings.h"

namespace kcptun {

struct TunnelClash {
  std::size_t tunnel;  // the later one of the two
  ValidationError error;
};

/// The first of two tunnels that write one file (both would append rows to it, or replace it) or listen on
/// one address. Addresses are the same if they are written alike; whether two names are one address shows
/// when they are bound.
std::optional<TunnelClash> find_clash(std::span<const ConfiguredTunnel> tunnels);

}  // namespace kcptun
