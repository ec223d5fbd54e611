// Opens files that users name.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "core/base/result.h"

namespace kcptun {

using OpenFile = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

/// How long a pipe may stay without a writer.
inline constexpr int kPipePatienceMs = 5000;

/// Opens a file to read it. A named pipe, or one of a shell's <(...), must get a writer within
/// kPipePatienceMs. The error is the system's message, or "is a pipe that nobody writes to".
Result<OpenFile> open_to_read(const std::string& path);

}  // namespace kcptun
