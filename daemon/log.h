// The program's log: one line per event of its life, never per packet. Used by daemon only.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "core/base/result.h"

namespace kcptun {

/// Sends the log to `file`, or to standard error when it is empty. Lines are flushed as they come.
/// The error names the file.
Result<bool> open_log(const std::string& file);

}  // namespace kcptun
