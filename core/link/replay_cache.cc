#include "core/link/replay_cache.h"

#include <algorithm>

namespace kcptun {

std::string_view to_text(SessionRefusal refusal) {
  switch (refusal) {
    case SessionRefusal::kNone:
      return "none";
    case SessionRefusal::kKnown:
      return "the session was open before";
    case SessionRefusal::kLate:
      return "made too long ago";
    case SessionRefusal::kEarly:
      return "made in the future";
    case SessionRefusal::kServerJustStarted:
      return "the server has just started, or its clock was set back";
    case SessionRefusal::kFull:
      return "too many sessions";
  }
  return {};
}

SessionRefusal ReplayCache::check_timestamp(TimePoint now, UnixTime wall, std::uint32_t timestamp) const {
  const UnixTime at{seconds(timestamp)};
  if (at > wall + kMaxClockSkew) return SessionRefusal::kEarly;
  if (at + kMaxAge < wall) return SessionRefusal::kLate;
  const UnixTime started = wall - std::chrono::floor<seconds>(now - started_);
  if (at <= started + std::chrono::floor<seconds>(kStartupQuarantine) || timestamp <= erased_until_)
    return SessionRefusal::kServerJustStarted;
  return SessionRefusal::kNone;
}

SessionRefusal ReplayCache::check(TimePoint now, UnixTime wall, const SessionClaim& claim) {
  expire(now);
  if (known_.contains(claim.session)) return SessionRefusal::kKnown;
  return check_timestamp(now, wall, claim.timestamp);
}

SessionRefusal ReplayCache::open(TimePoint now, UnixTime wall, const SessionClaim& claim) {
  const SessionRefusal refusal = check(now, wall, claim);
  if (refusal != SessionRefusal::kNone) return refusal;
  if (known_.size() >= max_sessions_) {
    if (ended_.empty()) return SessionRefusal::kFull;
    erase_oldest();
    if (claim.timestamp <= erased_until_) return SessionRefusal::kServerJustStarted;
  }
  known_.emplace(claim.session, claim.worker);
  return SessionRefusal::kNone;
}

std::optional<std::uint32_t> ReplayCache::owner(std::uint64_t session) const {
  const auto it = known_.find(session);
  return it == known_.end() ? std::nullopt : it->second;
}

void ReplayCache::end(TimePoint now, std::uint64_t session, std::uint32_t newest) {
  const auto it = known_.find(session);
  if (it == known_.end() || !it->second) return;
  it->second.reset();
  ended_.push_back({session, newest, now});
  expire(now);
}

void ReplayCache::expire(TimePoint now) {
  while (!ended_.empty() && now - ended_.front().at > kKeep) erase_oldest();
}

void ReplayCache::erase_oldest() {
  erased_until_ = std::max(erased_until_, ended_.front().newest);
  known_.erase(ended_.front().session);
  ended_.pop_front();
}

}  // namespace kcptun
