// Options that are parsed and validated but not supported.
#pragma once

#include <optional>
#include <string_view>

#include "config/settings.h"

namespace kcptun {

/// kcptun's pprof serves the profiles of the Go runtime. A false value is accepted, because it requests
/// nothing.
inline constexpr std::string_view kNoPprof =
    "asks for Go's profiler, which this program does not have; use perf for profiles, SIGUSR1 or snmplog for "
    "counters";

/// The error for the first unsupported option that is set, if any.
std::optional<ValidationError> find_unsupported(const Settings& settings);

}  // namespace kcptun
