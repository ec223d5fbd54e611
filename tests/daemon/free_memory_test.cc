#include "daemon/system/free_memory.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

namespace kcptun::free_memory_test {

namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

/// A folder with files as the kernel shows them.
class FakeSystem {
 public:
  FakeSystem() : root_(make_root()) {}
  ~FakeSystem() { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ + path).substr(0, (root_ + path).rfind('/')));
    std::ofstream(root_ + path) << text;
  }
  const std::string& root() const { return root_; }

 private:
  static std::string make_root() {
    std::string name = std::filesystem::temp_directory_path() / "kcptun-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    return name;
  }
  std::string root_;
};

}  // namespace

TEST_CASE("free memory is what the kernel calls available, and free swap") {
  FakeSystem system;
  CHECK_FALSE(free_memory(system.root()));
  system.write("/proc/meminfo", "MemTotal:  60000 kB\nMemAvailable:   40960 kB\nSwapFree:  1024 kB\n");
  CHECK(free_memory(system.root()) == 41 * kMiB);
}

TEST_CASE("the tightest control group above the process counts, without its page cache") {
  FakeSystem system;
  system.write("/proc/meminfo", "MemAvailable:   4096000 kB\n");
  system.write("/proc/self/cgroup", "0::/a/b\n");
  system.write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  system.write("/sys/fs/cgroup/a/b/memory.current", "1048576\n");
  CHECK(free_memory(system.root()) == 4000 * kMiB);
  system.write("/sys/fs/cgroup/a/memory.max", std::to_string(64 * kMiB));
  system.write("/sys/fs/cgroup/a/memory.current", std::to_string(30 * kMiB));
  system.write("/sys/fs/cgroup/a/memory.stat", "anon 1\nfile " + std::to_string(20 * kMiB) + "\n");
  CHECK(free_memory(system.root()) == 54 * kMiB);
  system.write("/sys/fs/cgroup/a/memory.current", std::to_string(90 * kMiB));
  CHECK(free_memory(system.root()) == 0);
}

TEST_CASE("control groups of version 1 count, too") {
  FakeSystem system;
  system.write("/proc/self/cgroup", "8:pids:/x\n5:memory:/router\n");
  system.write("/sys/fs/cgroup/memory/router/memory.limit_in_bytes", std::to_string(64 * kMiB));
  system.write("/sys/fs/cgroup/memory/router/memory.usage_in_bytes", std::to_string(10 * kMiB));
  system.write("/sys/fs/cgroup/memory/router/memory.stat",
               "cache 0\ntotal_cache " + std::to_string(4 * kMiB) + "\n");
  CHECK(free_memory(system.root()) == 58 * kMiB);
}

}  // namespace kcptun::free_memory_test
