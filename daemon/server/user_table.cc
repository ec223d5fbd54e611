#include "daemon/server/user_table.h"

#include <algorithm>
#include <utility>

namespace kcptun {
namespace {

// The first second at which the user may connect no more.
UnixTime expiry_of(std::chrono::sys_days last_day) {
  return UnixTime(seconds((last_day + std::chrono::days(1)).time_since_epoch()));
}

}  // namespace

std::string_view to_text(UserTable::Verdict refusal) {
  switch (refusal) {
    case UserTable::Verdict::kUnknown:
      return "no user has this key";
    case UserTable::Verdict::kExpired:
      return "the user's last day is over";
    case UserTable::Verdict::kUsedUp:
      return "the user's quota is used up";
    case UserTable::Verdict::kAdmitted:
      break;
  }
  return "";
}

void UserTable::apply(const Profile& profile) {
  std::map<noise::PublicKey, std::shared_ptr<UserState>> next;
  for (const User& user : profile.users) {
    const auto known = users_.find(user.key);
    auto state =
        known != users_.end() ? known->second : std::make_shared<UserState>(engine_, totals_, listens_);
    state->user = user;
    state->rate = rates_.set(user.name, user.ratelimit);
    state->rules = {user.allow.value_or(profile.dial_rules.allow), profile.dial_rules.deny};
    next.emplace(user.key, std::move(state));
  }
  users_ = std::move(next);
}

UserTable::Verdict UserTable::judge(const UserState* state) const {
  if (!state) return Verdict::kUnknown;
  const User& user = state->user;
  const UnixTime now = engine_.context().wall;
  if (user.last_day && now >= expiry_of(*user.last_day)) return Verdict::kExpired;
  if (user.quota && accounts_.left(user.name, *user.quota, now) == 0) return Verdict::kUsedUp;
  return Verdict::kAdmitted;
}

void UserTable::charge(const UserState& state, std::uint64_t bytes) {
  if (state.user.quota) accounts_.charge(state.user.name, *state.user.quota, engine_.context().wall, bytes);
}

bool UserTable::admits(const noise::PublicKey& client) const {
  const auto found = users_.find(client);
  const UserState* const state = found == users_.end() ? nullptr : found->second.get();
  const Verdict why = judge(state);
  if (why == Verdict::kAdmitted) return true;
  ++refused_;
  last_refused_ = {why, client, state ? state->user.name : std::string()};
  return false;
}

std::shared_ptr<UserState> UserTable::find(const noise::PublicKey& client) const {
  const auto found = users_.find(client);
  return found == users_.end() ? nullptr : found->second;
}

bool UserTable::may_stay(const noise::PublicKey& client) const {
  return judge(find(client).get()) == Verdict::kAdmitted;
}

std::optional<UserTable::RefusedClient> UserTable::take_refused() {
  return std::exchange(last_refused_, std::nullopt);
}

std::optional<Duration> UserTable::until_next_expiry() const {
  std::optional<Duration> left;
  for (const auto& [key, state] : users_) {
    if (!state->user.last_day) continue;
    const Duration until = expiry_of(*state->user.last_day) - engine_.context().wall;
    if (until <= Duration::zero()) continue;
    left = std::min(left.value_or(kMaxCheckInterval), until);
  }
  return left;
}

std::vector<UserSnapshot> UserTable::snapshots() const {
  std::vector<UserSnapshot> all;
  for (const auto& [key, state] : users_) {
    UserSnapshot row{.user = state->user.name, .sessions = state->sessions, .traffic = state->past};
    if (const auto& quota = state->user.quota) {
      row.quota = static_cast<double>(quota->bytes);
      row.quota_left = static_cast<double>(accounts_.left(row.user, *quota, engine_.context().wall));
    }
    all.push_back(std::move(row));
  }
  std::ranges::sort(all, {}, &UserSnapshot::user);
  return all;
}

}  // namespace kcptun
