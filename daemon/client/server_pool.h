// Which of several servers new sessions go to.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/time.h"

namespace kcptun {

enum class ServerState : std::uint8_t { kUnknown, kHealthy, kFailed };

/// Told what checks of the servers found; says which server is the best, and when one that failed is to be
/// tried again. Knows no address and no clock.
class ServerPool {
 public:
  /// A rival must be faster by both for sessions to move: two servers about as far away would take turns for
  /// ever.
  static constexpr Duration kMinGain = milliseconds(5);
  static constexpr int kMinGainPercent = 20;
  /// A server that failed is tried again after this, then after twice as long each time, up to the longest.
  static constexpr Duration kFirstRetry = seconds(1);
  static constexpr Duration kMaxRetry = seconds(8);
  /// A server that answered and then failed must answer for so long before it is chosen instead of a healthy
  /// one. So must each that failed before its intervals start anew. One with another smuxver or compression acknowledges packets, and shows
  /// what is wrong with its first keepalive, which kcptun sends after 10 s.
  static constexpr Duration kProof = seconds(15);

  /// REQUIRES: servers >= 1.
  explicit ServerPool(std::size_t servers) : servers_(servers) {}

  /// The server owes nothing. Told again and again while that is so.
  void handle_answer(std::size_t server, Duration round_trip, TimePoint now);
  void handle_failure(std::size_t server, TimePoint now);

  /// The best by what is known: of the healthy ones the nearest that is not on probation, and the one chosen
  /// before unless such another is clearly nearer. When none is healthy one that may be: not tried yet, in
  /// their order, else the one that failed longest ago.
  std::size_t choose();
  std::size_t chosen() const { return chosen_; }
  bool any_healthy() const;
  bool all_failed() const;

  ServerState state(std::size_t server) const { return servers_[server].state; }
  /// It failed after it had answered, and has not answered for kProof since.
  bool on_probation(std::size_t server) const { return servers_[server].on_probation; }
  /// None unless the server is healthy.
  std::optional<Duration> round_trip(std::size_t server) const;
  /// Of a server that failed; the past for others.
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
  std::size_t most_hopeful() const;

  std::vector<Server> servers_;
  std::size_t chosen_ = 0;
};

}  // namespace kcptun
