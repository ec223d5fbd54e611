// Users and groups of this system, by name or number.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/result.h"

namespace kcptun {

/// A user that the process can become.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary
  std::string name;           // as it was asked for
};

/// "NAME" (with the groups of that user) or "NAME:GROUP" (with that group alone); either may be a number that
/// the system has a name for. The error names what is not known, or says that only root can become another user.
Result<Identity> find_identity(const std::string& text);

/// A group by its name or number. The error says that there is none.
Result<gid_t> find_group_id(const std::string& text);

}  // namespace kcptun
