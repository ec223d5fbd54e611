#include "daemon/client/server_pool.h"

#include <tuple>

namespace kcptun {

void ServerPool::handle_answer(std::size_t server, Duration round_trip, TimePoint now) {
  Server& one = servers_[server];
  if (one.state != ServerState::kHealthy) one.healthy_since = now;
  one.state = ServerState::kHealthy;
  one.round_trip = round_trip;
  one.retry_at = {};
  if (now - one.healthy_since < kProbation) return;
  one.on_probation = false;
  one.retry_after = kFirstRetry;
}

void ServerPool::handle_failure(std::size_t server, TimePoint now) {
  Server& one = servers_[server];
  one.on_probation |= one.state == ServerState::kHealthy;
  one.state = ServerState::kFailed;
  one.failed_at = now;
  one.retry_at = now + one.retry_after;
  one.retry_after = std::min(2 * one.retry_after, kMaxRetry);
}

bool ServerPool::any_healthy() const {
  return std::ranges::any_of(servers_, [](const Server& one) { return one.state == ServerState::kHealthy; });
}

bool ServerPool::all_failed() const {
  return std::ranges::all_of(servers_, [](const Server& one) { return one.state == ServerState::kFailed; });
}

std::optional<Duration> ServerPool::round_trip(std::size_t server) const {
  const Server& one = servers_[server];
  return one.state == ServerState::kHealthy ? std::optional(one.round_trip) : std::nullopt;
}

std::size_t ServerPool::nearest() const {
  const auto rank = [](const Server& one) {
    return std::tuple(one.state != ServerState::kHealthy, one.on_probation, one.round_trip);
  };
  return static_cast<std::size_t>(std::ranges::min_element(servers_, {}, rank) - servers_.begin());
}

std::size_t ServerPool::next_candidate() const {
  const auto rank = [](const Server& one) {
    return std::tuple(one.state == ServerState::kFailed, one.failed_at);
  };
  return static_cast<std::size_t>(std::ranges::min_element(servers_, {}, rank) - servers_.begin());
}

std::size_t ServerPool::choose() {
  if (!any_healthy()) return chosen_ = next_candidate();
  const Server& mine = servers_[chosen_];
  const std::size_t rival = nearest();
  const Duration gain = mine.round_trip - servers_[rival].round_trip;
  const bool much_nearer = gain >= kMinGain && 100 * gain >= kMinGainPercent * mine.round_trip;
  const bool trusted = !servers_[rival].on_probation;
  if (mine.state != ServerState::kHealthy || (trusted && much_nearer)) chosen_ = rival;
  return chosen_;
}

}  // namespace kcptun
