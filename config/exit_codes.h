// The exit code of a fault that starting again does not mend.
#pragma once

namespace kcptun {

/// The configuration is at fault: EX_CONFIG of sysexits.h. With kExitUsage these are the statuses that end a
/// service for good (RestartPreventExitStatus in systemd/).
inline constexpr int kExitConfig = 78;

}  // namespace kcptun
