// Who may use the file of a tunnel's unix socket, and who removes it.
#pragma once

#include "config/profile.h"
#include "core/base/result.h"
#include "daemon/io/listener.h"

namespace kcptun {

/// As localaddr-mode, localaddr-group and user ask. With a user to become, the file belongs to that user, who removes it
/// at the end; a warning says where the folder does not allow that. The error names a group or user that is not known.
Result<UnixAccess> unix_access(const Profile& profile, const UnixPath& path);

}  // namespace kcptun
