#include "daemon/process/process_memory.h"

#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace kcptun::test::process_memory_test {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

TEST_CASE("The quota is a quarter of the least that bounds the process, and never tiny") {
  CHECK(default_quota({}) == kMinQuota);
  CHECK(default_quota({.physical = 4096 * kMiB}) == 1024 * kMiB);
  CHECK(default_quota({.physical = 4096 * kMiB, .control_group = 512 * kMiB}) == 128 * kMiB);
  CHECK(default_quota({.control_group = 512 * kMiB, .address_space = 256 * kMiB}) == 64 * kMiB);
  CHECK(default_quota({.physical = 64 * kMiB}) == 16 * kMiB);
  CHECK(default_quota({.physical = 63 * kMiB}) == kMinQuota);
}

TEST_CASE("This machine has memory, and a limit of the address space is seen") {
  const MachineMemory machine = memory_of_machine();
  CHECK(machine.physical.value_or(0) > 64 * kMiB);
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_AS, &limit) == 0);
  CHECK(machine.address_space.has_value() == (limit.rlim_cur != RLIM_INFINITY));
}

TEST_CASE("Any number of threads charge and uncharge one quota") {
  ProcessMemory memory(100 * kMiB);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&memory] {
      for (int n = 0; n < 10000; ++n) {
        memory.charge(1000);
        if (memory.left() > 100 * kMiB) return;
        memory.uncharge(999);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(memory.used() == 40000);
  memory.charge(200 * kMiB);
  CHECK(memory.left() == 0);
  CHECK(memory.limit() == 100 * kMiB);
}

}  // namespace
}  // namespace kcptun::test::process_memory_test
