#include "daemon/system/free_memory.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

namespace kcptun {
namespace {

constexpr std::uint64_t kKiB = 1024;  // /proc/meminfo counts in them

// Reads a file that holds a single number. None for "max" or if it cannot be read.
std::optional<std::uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

// The number behind a name at the start of a line, as in /proc/meminfo and memory.stat.
std::optional<std::uint64_t> named_number_in(const std::string& path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    std::uint64_t number = 0;
    if (words >> word >> number && word == name) return number;
  }
  return std::nullopt;
}

// The files of one version of control groups.
struct GroupFiles {
  std::string_view folder;
  std::string_view limit, used;
  std::string_view cache;  // a name in memory.stat
};
constexpr GroupFiles kVersion1{"/sys/fs/cgroup/memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes",
                               "total_cache"};
constexpr GroupFiles kVersion2{"/sys/fs/cgroup", "/memory.max", "/memory.current", "file"};

std::string joined(std::string folder, std::string_view name) { return folder.append(name); }

std::optional<std::uint64_t> free_in_group(const std::string& folder, const GroupFiles& files) {
  const auto limit = number_in(joined(folder, files.limit));
  const auto used = number_in(joined(folder, files.used));
  if (!limit || !used) return std::nullopt;
  const std::uint64_t cache = named_number_in(folder + "/memory.stat", files.cache).value_or(0);
  const std::uint64_t held = *used - std::min(*used, cache);
  return *limit - std::min(*limit, held);
}

std::optional<std::uint64_t> lesser(std::optional<std::uint64_t> a, std::optional<std::uint64_t> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

// The limits of all parent groups apply, too.
std::optional<std::uint64_t> least_of_ancestors(const std::string& root, std::string group,
                                                const GroupFiles& files) {
  std::optional<std::uint64_t> least;
  for (;;) {
    least = lesser(least, free_in_group(joined(root, files.folder) + group, files));
    const std::size_t slash = group.rfind('/');
    if (group.empty() || slash == group.npos) return least;
    group.resize(slash);
  }
}

// Lines of /proc/self/cgroup are NUMBER:CONTROLLERS:/GROUP; version 2 has no controllers there.
std::optional<std::uint64_t> free_in_groups(const std::string& root) {
  std::ifstream groups(root + "/proc/self/cgroup");
  std::optional<std::uint64_t> least;
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") least = lesser(least, least_of_ancestors(root, group, kVersion2));
    if (controllers.find(",memory,") != controllers.npos)
      least = lesser(least, least_of_ancestors(root, group, kVersion1));
  }
  return least;
}

}  // namespace

std::optional<std::uint64_t> free_memory(const std::string& root) {
  const std::string meminfo = root + "/proc/meminfo";
  std::optional<std::uint64_t> machine = named_number_in(meminfo, "MemAvailable:");
  if (machine) *machine *= kKiB;
  const auto least = lesser(machine, free_in_groups(root));
  if (!least) return std::nullopt;
  return *least + named_number_in(meminfo, "SwapFree:").value_or(0) * kKiB;
}

}  // namespace kcptun
