// Threads that the system may refuse.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "core/base/result.h"

namespace kcptun {

/// Starts a thread under a name (15 bytes) that tools show; the process's signals are for others. The error says why
/// the system gives none: as a rule the limit of tasks, RLIMIT_NPROC or a service's TasksMax=.
Result<std::thread> start_thread(const std::string& name, std::function<void()> work);

}  // namespace kcptun
