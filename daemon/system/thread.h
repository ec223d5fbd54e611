// Starts threads and reports failure as a value.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "core/base/result.h"

namespace kcptun {

/// Starts a thread that blocks all signals; signals of the process go to other threads. `name` (at most 15
/// bytes) is what ps and top show. The error gives the system's reason: usually the task limit, RLIMIT_NPROC
/// or TasksMax= of a service.
Result<std::thread> start_thread(const std::string& name, std::function<void()> work);

}  // namespace kcptun
