// Users and groups of this system, by name or number.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/result.h"

namespace kcptun {

/// A user that the process can switch to.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary
  std::string name;           // as the user wrote it
};

/// `text` is "NAME" (with that user's groups) or "NAME:GROUP" (with that group alone). NAME and GROUP may be
/// numbers that have an entry in the system's databases. The error names the unknown user or group, or says
/// that only root can switch to another user.
Result<Identity> find_identity(const std::string& text);

/// Looks up a group by name or number. The error says that there is no such group.
Result<gid_t> find_group_id(const std::string& text);

}  // namespace kcptun
