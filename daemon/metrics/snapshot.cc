#include "daemon/metrics/snapshot.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace kcptun {

namespace {

// Each engine has the same users, in the same order.
void add_users(std::vector<UserSnapshot>& to, std::vector<UserSnapshot> others) {
  if (to.size() != others.size()) {
    to = std::move(others);
    return;
  }
  for (std::size_t i = 0; i < to.size(); ++i) {
    to[i].sessions += others[i].sessions;
    to[i].traffic.add(others[i].traffic);
    if (others[i].quota_left) to[i].quota_left = std::min(to[i].quota_left, others[i].quota_left);
  }
}

}  // namespace

void TunnelSnapshot::add(TunnelSnapshot other) {
  counters.add(other.counters);
  traffic.add(other.traffic);
  sessions += other.sessions;
  streams += other.streams;
  requests += other.requests;
  denied_requests += other.denied_requests;
  flows += other.flows;
  refused_flows += other.refused_flows;
  denied_datagrams += other.denied_datagrams;
  listeners += other.listeners;
  accepted_connections += other.accepted_connections;
  refused_connections += other.refused_connections;
  if (forwards.empty()) forwards = std::move(other.forwards);
  refused_clients += other.refused_clients;
  add_users(users, std::move(other.users));
  if (other.offload) {
    if (!offload) offload.emplace();
    offload->gso |= other.offload->gso;
    offload->gro |= other.offload->gro;
  }
  peer = merge_parts(std::move(peer), std::move(other.peer));
  if (other.servers.empty()) {
    // One server, or none.
  } else if (servers.size() != other.servers.size()) {
    servers = std::move(other.servers);
  } else {  // each engine has its own view: a server that any engine reaches is healthy
    for (std::size_t i = 0; i < servers.size(); ++i) {
      ServerSnapshot& mine = servers[i];
      const ServerSnapshot& theirs = other.servers[i];
      mine.healthy |= theirs.healthy;
      mine.chosen |= theirs.chosen;
      if (theirs.round_trip)
        mine.round_trip = std::min(mine.round_trip.value_or(*theirs.round_trip), *theirs.round_trip);
    }
  }
  std::ranges::move(other.open_sessions, std::back_inserter(open_sessions));
}

void ProcessSnapshot::bound_rows() {
  std::vector<std::uint64_t> moved;
  for (TunnelSnapshot& tunnel : tunnels) {
    std::ranges::sort(tunnel.open_sessions, [](const SessionSnapshot& a, const SessionSnapshot& b) {
      return std::pair(b.traffic.total(), a.conv) < std::pair(a.traffic.total(), b.conv);
    });
    if (tunnel.open_sessions.size() > kMaxSessionRows) tunnel.open_sessions.resize(kMaxSessionRows);
    for (const SessionSnapshot& session : tunnel.open_sessions) moved.push_back(session.traffic.total());
  }
  if (moved.size() <= kMaxSessionRows) return;
  std::ranges::nth_element(moved, moved.begin() + kMaxSessionRows, std::greater());
  const std::uint64_t least = moved[kMaxSessionRows];
  std::size_t ties = kMaxSessionRows;  // rows that fit among those tied with the first omitted one
  for (std::size_t i = 0; i < kMaxSessionRows; ++i) ties -= moved[i] > least;
  for (TunnelSnapshot& tunnel : tunnels) {
    std::erase_if(tunnel.open_sessions, [least, &ties](const SessionSnapshot& session) {
      if (session.traffic.total() > least) return false;
      return session.traffic.total() < least || (ties > 0 ? (--ties, false) : true);
    });
  }
}

}  // namespace kcptun
