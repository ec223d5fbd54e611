// What is understood, validated and then refused for good.
#pragma once

#include <optional>
#include <string_view>

#include "config/settings.h"

namespace kcptun {

/// kcptun's pprof serves the profiles of Go's run time. A field that is false asks for nothing and is taken.
inline constexpr std::string_view kNoPprof =
    "asks for Go's profiler, which this program does not have; use perf for profiles, SIGUSR1 or snmplog for "
    "counters";

/// The option that asks for it, if any.
std::optional<ValidationError> find_unsupported(const Settings& settings);

}  // namespace kcptun
