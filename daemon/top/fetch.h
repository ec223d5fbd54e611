// Asks a running program for its status.
#pragma once

#include <string>

#include "config/profile.h"
#include "core/base/result.h"

namespace kcptun {

/// The body of `path` at the status address. Blocks, 5 s at most; takes 16 MiB at most. The error names the
/// address.
Result<std::string> fetch_status(const Address& address, const std::string& token, const std::string& path);

}  // namespace kcptun
