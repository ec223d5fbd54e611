#include "daemon/system/free_memory.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

#include "daemon/system/control_groups.h"

namespace kcptun {
namespace {

constexpr std::uint64_t kKiB = 1024;  // /proc/meminfo counts in them

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

std::optional<std::uint64_t> free_in_group(const std::string& folder, const ControlGroupFiles& files) {
  const auto limit = read_number(std::string(folder).append(files.limit));
  const auto used = read_number(std::string(folder).append(files.used));
  if (!limit || !used) return std::nullopt;
  const std::uint64_t cache = named_number_in(folder + "/memory.stat", files.cache).value_or(0);
  const std::uint64_t held = *used - std::min(*used, cache);
  return *limit - std::min(*limit, held);
}

}  // namespace

std::optional<std::uint64_t> free_memory(const std::string& root) {
  const std::string meminfo = root + "/proc/meminfo";
  std::optional<std::uint64_t> machine = named_number_in(meminfo, "MemAvailable:");
  if (machine) *machine *= kKiB;
  const auto least = lesser(machine, least_in_control_groups(root, free_in_group));
  if (!least) return std::nullopt;
  return *least + named_number_in(meminfo, "SwapFree:").value_or(0) * kKiB;
}

}  // namespace kcptun
