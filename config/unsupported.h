// What is understood, validated and then refused: because it comes with a later version, or for good. The only place
// that knows: a feature that arrives deletes its line in unsupported.cc.
#pragma once

#include <optional>
#include <string_view>

#include "config/settings.h"

namespace kcptun {

inline constexpr std::string_view kComesLater = "comes with a later version";

/// kcptun's pprof serves the profiles of Go's run time. A field that is false asks for nothing and is taken.
inline constexpr std::string_view kNoPprof =
    "asks for Go's profiler, which this program does not have; use perf for profiles, SIGUSR1 or snmplog for counters";

/// The first option that asks for such a feature: a switch that is on, a number above 0, a text that is not
/// empty, an address with a port range. REQUIRES: addresses parse.
std::optional<Complaint> find_unsupported(const Settings& settings);

}  // namespace kcptun
