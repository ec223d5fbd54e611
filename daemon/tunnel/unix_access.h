// Permissions and removal of a tunnel's unix socket file.
#pragma once

#include "config/profile.h"
#include "core/base/result.h"
#include "daemon/io/listener.h"

namespace kcptun {

/// Follows localaddr-mode, localaddr-group and user. With a user, the file belongs to that user, and the
/// process removes it at exit as that user. Logs a warning if the folder does not allow the removal. The
/// error names an unknown group or user.
Result<UnixAccess> unix_access(const Profile& profile, const UnixPath& path);

}  // namespace kcptun
