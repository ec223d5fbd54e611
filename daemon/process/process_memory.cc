#include "daemon/process/process_memory.h"

#include <sys/resource.h>
#include <uv.h>

#include <algorithm>
#include <string>

#include "daemon/system/control_groups.h"

namespace kcptun {
MachineMemory memory_of_machine() {
  MachineMemory machine;
  if (const std::uint64_t physical = uv_get_total_memory(); physical > 0) machine.physical = physical;
  machine.control_group =
      least_in_control_groups("", [](const std::string& folder, const ControlGroupFiles& files) {
        return read_number(std::string(folder).append(files.limit));
      });
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    machine.address_space = limit.rlim_cur;
  return machine;
}

std::uint64_t default_quota(const MachineMemory& machine) {
  const auto smallest = lesser(machine.physical, lesser(machine.control_group, machine.address_space));
  return std::max(kMinQuota, smallest.value_or(0) / 4);
}

}  // namespace kcptun
