#include "core/link/session_limiter.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"

namespace kcptun {
namespace {

constexpr std::size_t kPrefix = 8;  // bytes of an IPv6 address that name the network

bool is_ipv4(const IpEndpoint& remote) {
  static constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(kMapped.begin(), kMapped.end(), remote.ip.begin());
}

}  // namespace

std::size_t SessionLimiter::OwnerHash::operator()(const Owner& owner) const {
  IpEndpoint endpoint;
  endpoint.ip = owner;
  return IpEndpointHash{}(endpoint);
}

SessionLimiter::SessionLimiter(std::size_t max_sessions)
    : max_sessions_(max_sessions), share_(std::max<std::size_t>(max_sessions / kShare, 1)) {}

SessionLimiter::Owner SessionLimiter::owner_of(const IpEndpoint& remote) {
  Owner owner = remote.ip;
  if (!is_ipv4(remote)) std::fill(owner.begin() + kPrefix, owner.end(), std::uint8_t{0});
  return owner;
}

SessionLimiter::Decision SessionLimiter::decide(const IpEndpoint& remote) {
  const auto owner = owners_.find(owner_of(remote));
  if (slots_are_short() && owner != owners_.end() && owner->second.sessions >= share_) {
    if (owner->second.half_open.empty()) {
      ++counters_.refused_share;
      return {Answer::kRefuse};
    }
    ++counters_.evicted;
    return {Answer::kEvictThenAdmit, owner->second.half_open.front()};
  }
  if (sessions_.size() < max_sessions_) return {Answer::kAdmit};
  if (half_open_list_.empty()) {
    ++counters_.refused_full;
    return {Answer::kRefuse};
  }
  ++counters_.evicted;
  return {Answer::kEvictThenAdmit, half_open_list_.front()};
}

void SessionLimiter::add(Id id, const IpEndpoint& remote) {
  Session session{owner_of(remote), false, {}, {}};
  PerOwner& owner = owners_[session.owner];
  ++owner.sessions;
  session.in_all = half_open_list_.insert(half_open_list_.end(), id);
  session.in_owner = owner.half_open.insert(owner.half_open.end(), id);
  KCPTUN_CHECK(sessions_.emplace(id, session).second);
  ++half_open_;
}

void SessionLimiter::leave_lists(Session& session) {
  if (session.established) return;
  half_open_list_.erase(session.in_all);
  owners_[session.owner].half_open.erase(session.in_owner);
  --half_open_;
}

void SessionLimiter::establish(Id id) {
  Session& session = sessions_.at(id);
  leave_lists(session);
  session.established = true;
}

void SessionLimiter::record_activity(Id id) {
  const Session& session = sessions_.at(id);
  if (session.established) return;
  half_open_list_.splice(half_open_list_.end(), half_open_list_, session.in_all);
  std::list<Id>& own = owners_[session.owner].half_open;
  own.splice(own.end(), own, session.in_owner);
}

void SessionLimiter::migrate(Id id, const IpEndpoint& remote) {
  Session& session = sessions_.at(id);
  const Owner to = owner_of(remote);
  if (to == session.owner) return;
  PerOwner& old = owners_[session.owner];
  PerOwner& now = owners_[to];
  --old.sessions;
  ++now.sessions;
  if (!session.established) now.half_open.splice(now.half_open.end(), old.half_open, session.in_owner);
  if (old.sessions == 0) owners_.erase(session.owner);
  session.owner = to;
}

void SessionLimiter::remove(Id id) {
  const auto it = sessions_.find(id);
  KCPTUN_CHECK(it != sessions_.end());
  leave_lists(it->second);
  const auto owner = owners_.find(it->second.owner);
  if (--owner->second.sessions == 0) owners_.erase(owner);
  sessions_.erase(it);
}

}  // namespace kcptun
