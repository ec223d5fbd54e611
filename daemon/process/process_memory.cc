#include "daemon/process/process_memory.h"

#include <sys/resource.h>
#include <uv.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

namespace kcptun {
namespace {

// Reads a file that holds a single number. None for "max" or if it cannot be read.
std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> lesser(std::optional<std::uint64_t> a, std::optional<std::uint64_t> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

// The limits of all parent groups apply, too.
std::optional<std::uint64_t> minimum_of_ancestors(const std::string& root, std::string group,
                                                  std::string_view file) {
  std::optional<std::uint64_t> least;
  for (;;) {
    least = lesser(least, read_number(root + group + '/' + std::string(file)));
    const std::size_t slash = group.rfind('/');
    if (group.empty() || slash == group.npos) return least;
    group.resize(slash);
  }
}

// Lines of /proc/self/cgroup are NUMBER:CONTROLLERS:/GROUP; cgroup version 2 has no controllers there.
std::optional<std::uint64_t> limit_of_control_group() {
  std::ifstream groups("/proc/self/cgroup");
  std::optional<std::uint64_t> least;
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
    const std::string group = line.substr(second + 1);
    if (controllers == ",,")
      least = lesser(least, minimum_of_ancestors("/sys/fs/cgroup", group, "memory.max"));
    if (controllers.find(",memory,") != controllers.npos)
      least = lesser(least, minimum_of_ancestors("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
  }
  return least;
}

}  // namespace

MachineMemory memory_of_machine() {
  MachineMemory machine;
  if (const std::uint64_t physical = uv_get_total_memory(); physical > 0) machine.physical = physical;
  machine.control_group = limit_of_control_group();
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    machine.address_space = limit.rlim_cur;
  return machine;
}

std::uint64_t default_quota(const MachineMemory& machine) {
  const auto least = lesser(machine.physical, lesser(machine.control_group, machine.address_space));
  return std::max(kMinQuota, least.value_or(0) / 4);
}

}  // namespace kcptun
