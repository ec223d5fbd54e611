// Log hints about applications that do not read, and their effect on other streams.
#pragma once

#include <array>
#include <string>

#include "config/profile.h"
#include "core/link/link.h"
#include "daemon/engine/hints.h"

namespace kcptun {

/// In order of severity, the most serious first.
inline constexpr std::array kStallHints{Hint::kSessionStalled, Hint::kPeerStalled, Hint::kMemoryPressure,
                                        Hint::kUnreadStreams};
/// A single stalled stream is normal back pressure. After this time it is logged if the session has other
/// streams.
inline constexpr Duration kStallThreshold = seconds(5);

/// True if the hint applies to this session. Cheap: called after each pump.
bool stall_hint_applies(Hint hint, const Link& link, TimePoint now);
/// Names the fields to check. REQUIRES: stall_hint_applies().
std::string explain_stall(Hint hint, const Link& link, const Profile& profile);
/// Returns a level below warning if other streams still make progress.
LogLevel level_of_stall(Hint hint);

}  // namespace kcptun
