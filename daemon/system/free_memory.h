// How much memory the process can still take before the kernel ends it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kcptun {

/// Bytes, with what the kernel would free for it (page cache) and with free swap. The least of the machine's
/// and of each control group's above the process. None where the system does not show it. `root` stands
/// before /proc and /sys: tests have files of their own there.
std::optional<std::uint64_t> free_memory(const std::string& root = {});

}  // namespace kcptun
