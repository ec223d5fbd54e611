// Selects the server of new sessions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/time.h"

namespace kcptun {

enum class ServerState : std::uint8_t { kUnknown, kHealthy, kFailed };

/// Takes the results of server checks. Decides which server is the best and when a failed one is tried again.
/// It has no clock and no addresses: the caller passes the time, and servers are indexes.
class ServerPool {
 public:
  /// Another server must be faster by both margins before sessions move to it. Otherwise two servers with
  /// similar RTTs would alternate for ever.
  static constexpr Duration kMinGain = milliseconds(5);
  static constexpr int kMinGainPercent = 20;
  /// A failed server is tried again after kFirstRetry; the delay doubles up to the maximum.
  static constexpr Duration kFirstRetry = seconds(1);
  static constexpr Duration kMaxRetry = seconds(8);
  /// Probation. A server that answered and then failed must answer for this long before it is preferred to a
  /// healthy one, and before its retry delay is reset. A server with another smuxver or compression setting
  /// acknowledges packets and fails only at its first keepalive, which kcptun sends after 10 s.
  static constexpr Duration kProbation = seconds(15);

  /// REQUIRES: servers >= 1.
  explicit ServerPool(std::size_t servers) : servers_(servers) {}

  /// The server has no outstanding answer. Call it repeatedly while that holds.
  void handle_answer(std::size_t server, Duration round_trip, TimePoint now);
  void handle_failure(std::size_t server, TimePoint now);

  /// Selects the best server. Among healthy servers that are not on probation: the one with the lowest RTT,
  /// but the previous choice unless another one is faster by both margins. If none is healthy: the first that
  /// was not tried yet, else the one that failed longest ago.
  std::size_t choose();
  std::size_t chosen() const { return chosen_; }
  bool any_healthy() const;
  bool all_failed() const;

  ServerState state(std::size_t server) const { return servers_[server].state; }
  /// It failed after it had answered, and has not answered for kProbation since then.
  bool on_probation(std::size_t server) const { return servers_[server].on_probation; }
  /// None unless the server is healthy.
  std::optional<Duration> round_trip(std::size_t server) const;
  /// For a failed server; for others a time in the past.
  TimePoint retry_at(std::size_t server) const { return servers_[server].retry_at; }
  std::size_t size() const { return servers_.size(); }

 private:
  struct Server {
    ServerState state = ServerState::kUnknown;
    Duration round_trip{0};
    Duration retry_after = kFirstRetry;
    bool on_probation = false;
    TimePoint healthy_since{};
    TimePoint failed_at{};
    TimePoint retry_at{};
  };

  std::size_t nearest() const;
  std::size_t next_candidate() const;

  std::vector<Server> servers_;
  std::size_t chosen_ = 0;
};

}  // namespace kcptun
