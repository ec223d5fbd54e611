#include "daemon/server/user_accounts.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace kcptun {
namespace {

std::string period_at(const Quota& quota, UnixTime now) {
  return period_of(quota.period, std::chrono::floor<std::chrono::days>(
                                     std::chrono::sys_time<Duration>(now.time_since_epoch())));
}

// An account of an earlier period is over. One of a later period means that the clock runs behind, as after
// the start of a machine without a battery for it: the account goes on. Periods of another length are not
// compared.
bool is_current(const QuotaUse& use, const std::string& period) {
  return use.period.size() == period.size() && use.period >= period;
}

}  // namespace

void UserAccounts::charge(const std::string& user, const Quota& quota, UnixTime now, std::uint64_t bytes) {
  if (bytes == 0) return;
  const std::string period = period_at(quota, now);
  const std::lock_guard lock(mutex_);
  QuotaUse& use = uses_[user];
  if (!is_current(use, period)) use = {period, 0};
  use.bytes += std::min(bytes, std::numeric_limits<std::uint64_t>::max() - use.bytes);
  ++changes_;
}

std::uint64_t UserAccounts::left(const std::string& user, const Quota& quota, UnixTime now) const {
  const std::string period = period_at(quota, now);
  const std::lock_guard lock(mutex_);
  const auto use = uses_.find(user);
  if (use == uses_.end() || !is_current(use->second, period)) return quota.bytes;
  return quota.bytes - std::min(quota.bytes, use->second.bytes);
}

QuotaUses UserAccounts::uses() const {
  const std::lock_guard lock(mutex_);
  return uses_;
}

std::uint64_t UserAccounts::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

}  // namespace kcptun
