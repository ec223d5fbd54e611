// Which worker of the server listens where for its clients.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>

#include "core/base/path.h"

namespace kcptun {

/// Thread-safe. Bounded by the workers' limits on listeners.
class ListenerRegistry {
 public:
  void add(const IpEndpoint& address, std::size_t worker) {
    const std::lock_guard lock(mutex_);
    workers_[address] = worker;
  }
  void remove(const IpEndpoint& address) {
    const std::lock_guard lock(mutex_);
    workers_.erase(address);
  }
  std::optional<std::size_t> find(const IpEndpoint& address) const {
    const std::lock_guard lock(mutex_);
    const auto it = workers_.find(address);
    return it == workers_.end() ? std::nullopt : std::optional(it->second);
  }

 private:
  mutable std::mutex mutex_;
  std::map<IpEndpoint, std::size_t> workers_;
};

}  // namespace kcptun
