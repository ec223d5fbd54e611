// Maps each of the server's sessions to its worker.
#pragma once

#include <mutex>
#include <unordered_map>

#include "core/link/session_directory.h"

namespace kcptun {

/// Thread-safe. Bounded by the workers' limits on sessions.
class SessionRegistry final : public SessionDirectory {
 public:
  std::uint32_t claim(std::uint32_t conv, std::uint32_t loop) override {
    const std::lock_guard lock(mutex_);
    return loops_.try_emplace(conv, loop).first->second;
  }
  void release(std::uint32_t conv) override {
    const std::lock_guard lock(mutex_);
    loops_.erase(conv);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::uint32_t, std::uint32_t> loops_;
};

}  // namespace kcptun
