// Fetches the status of a running program.
#pragma once

#include <string>

#include "config/profile.h"
#include "core/base/result.h"

namespace kcptun {

/// Returns the body of `path` at the status address. Blocks for at most 5 s and reads at most 16 MiB. The
/// error names the address.
Result<std::string> fetch_status(const Address& address, const std::string& token, const std::string& path);

}  // namespace kcptun
