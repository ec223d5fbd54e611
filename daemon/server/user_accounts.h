// What the users of a server have transferred, for their quotas.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "config/quota.h"
#include "core/base/time.h"

namespace kcptun {

/// Shared by the workers of a tunnel. Thread-safe. A user without an account has transferred nothing.
/// Bounds: one account for each user that had a quota while the process ran, and for each in the file.
class UserAccounts {
 public:
  UserAccounts() = default;
  UserAccounts(const UserAccounts&) = delete;
  UserAccounts& operator=(const UserAccounts&) = delete;

  /// Replaces all accounts. REQUIRES: no other thread calls yet.
  void load(QuotaUses uses) { uses_ = std::move(uses); }
  /// Adds `bytes` to what the user has transferred in the period that contains `now`.
  void charge(const std::string& user, const Quota& quota, UnixTime now, std::uint64_t bytes);
  /// What the user may still transfer in the period that contains `now`, in bytes.
  std::uint64_t left(const std::string& user, const Quota& quota, UnixTime now) const;

  QuotaUses uses() const;
  /// Increases with each charge of a byte.
  std::uint64_t changes() const;

 private:
  mutable std::mutex mutex_;
  QuotaUses uses_;
  std::uint64_t changes_ = 0;
};

}  // namespace kcptun
