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

SessionRefusal ReplayCache::judge(TimePoint now, UnixTime wall, std::uint32_t made) const {
  const UnixTime at{seconds(made)};
  if (at > wall + kMaxClockSkew) return SessionRefusal::kEarly;
  if (at + kMaxAge < wall) return SessionRefusal::kLate;
  const UnixTime started = wall - std::chrono::floor<seconds>(now - started_);
  if (at <= started + std::chrono::floor<seconds>(kStartupQuarantine) || made <= forgotten_)
    return SessionRefusal::kServerJustStarted;
  return SessionRefusal::kNone;
}

SessionRefusal ReplayCache::open(TimePoint now, UnixTime wall, const SessionClaim& claim) {
  forget_old(now);
  if (known_.contains(claim.session)) return SessionRefusal::kKnown;
  const SessionRefusal refusal = judge(now, wall, claim.made);
  if (refusal != SessionRefusal::kNone) return refusal;
  if (known_.size() >= most_) {
    if (ended_.empty()) return SessionRefusal::kFull;
    forget_first();
    if (claim.made <= forgotten_) return SessionRefusal::kServerJustStarted;
  }
  known_.emplace(claim.session, claim.loop);
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
  forget_old(now);
}

void ReplayCache::forget_old(TimePoint now) {
  while (!ended_.empty() && now - ended_.front().at > kKeep) forget_first();
}

void ReplayCache::forget_first() {
  forgotten_ = std::max(forgotten_, ended_.front().newest);
  known_.erase(ended_.front().session);
  ended_.pop_front();
}

}  // namespace kcptun
