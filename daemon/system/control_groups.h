// The control groups (cgroup v1 and v2) that limit this process's memory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace kcptun {

/// The files of one version of control groups.
struct ControlGroupFiles {
  std::string_view folder;       // below the root of the file system
  std::string_view limit, used;  // below a group's folder
  std::string_view cache;        // a name in memory.stat
};

/// The smaller one; one alone counts.
std::optional<std::uint64_t> lesser(std::optional<std::uint64_t> a, std::optional<std::uint64_t> b);

/// The number that a file holds. None for "max", or if it cannot be read.
std::optional<std::uint64_t> read_number(const std::string& path);

/// The least that `value` gives for the folder of a memory group of this process, or of one of that group's
/// parents, whose limits apply, too. `root` is what stands before /proc and /sys.
std::optional<std::uint64_t> least_in_control_groups(
    const std::string& root,
    const std::function<std::optional<std::uint64_t>(const std::string& folder, const ControlGroupFiles&)>&
        value);

}  // namespace kcptun
