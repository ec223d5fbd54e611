// What the log says of applications that do not read, and of what that costs others.
#pragma once

#include <array>
#include <string>

#include "config/profile.h"
#include "core/link/link.h"
#include "daemon/engine/hints.h"

namespace kcptun {

/// The most serious first.
inline constexpr std::array kStallHints{Hint::kStandsStill, Hint::kPeerStandsStill, Hint::kShortOfMemory,
                                        Hint::kUnreadStreams};
/// One stream alone that stands still is back pressure, and nobody's trouble. After so long it is worth a line when
/// there are others.
inline constexpr Duration kStandstillPatience = seconds(5);

/// True if there is reason to say it of this session. Cheap: asked after each pump.
bool stall_hint_applies(Hint hint, const Link& link, TimePoint now);
/// Names the fields to look at. REQUIRES: it applies.
std::string explain_stall(Hint hint, const Link& link, const Profile& profile);
/// Where others go on, it is no warning.
LogLevel level_of_stall(Hint hint);

}  // namespace kcptun
