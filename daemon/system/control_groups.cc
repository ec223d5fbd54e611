#include "daemon/system/control_groups.h"

#include <algorithm>
#include <fstream>

namespace kcptun {
namespace {

constexpr ControlGroupFiles kVersion1{"/sys/fs/cgroup/memory", "/memory.limit_in_bytes",
                                      "/memory.usage_in_bytes", "total_cache"};
constexpr ControlGroupFiles kVersion2{"/sys/fs/cgroup", "/memory.max", "/memory.current", "file"};

// Lines of /proc/self/cgroup are NUMBER:CONTROLLERS:/GROUP; version 2 has no controllers there.
const ControlGroupFiles* files_of(std::string_view controllers) {
  if (controllers.empty()) return &kVersion2;
  const std::string list = std::string(",").append(controllers).append(",");
  return list.find(",memory,") == list.npos ? nullptr : &kVersion1;
}

}  // namespace

std::optional<std::uint64_t> lesser(std::optional<std::uint64_t> a, std::optional<std::uint64_t> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> least_in_control_groups(
    const std::string& root,
    const std::function<std::optional<std::uint64_t>(const std::string& folder, const ControlGroupFiles&)>&
        value) {
  std::ifstream groups(root + "/proc/self/cgroup");
  std::optional<std::uint64_t> least;
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const auto* files = files_of(std::string_view(line).substr(first + 1, second - first - 1));
    if (!files) continue;
    std::string group = line.substr(second + 1);
    for (;;) {
      least = lesser(least, value(std::string(root).append(files->folder).append(group), *files));
      const std::size_t slash = group.rfind('/');
      if (group.empty() || slash == group.npos) break;
      group.resize(slash);
    }
  }
  return least;
}

}  // namespace kcptun
