// The exit code of a fault that a restart does not fix.
#pragma once

namespace kcptun {

/// The configuration is invalid: EX_CONFIG of sysexits.h. systemd does not restart a service after this code
/// or kExitUsage (RestartPreventExitStatus in systemd/).
inline constexpr int kExitConfig = 78;

}  // namespace kcptun
