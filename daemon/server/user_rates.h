// The rates of a server's users, each for all sessions of its user.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/link/shared_rate.h"

namespace kcptun {

/// Shared by the workers of a tunnel. Thread-safe. Bounds: one rate for each user that the process has had.
class UserRates {
 public:
  /// Sets the user's rate, also for the sessions that have it, and returns it. In bytes of UDP payload per
  /// second; 0: no limit.
  std::shared_ptr<SharedRate> set(const std::string& user, std::uint64_t rate) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<SharedRate>& known = rates_[user];
    if (!known) known = std::make_shared<SharedRate>(rate);
    known->set(rate);
    return known;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<SharedRate>> rates_;
};

}  // namespace kcptun
