// What became of a client's last sessions, while no session tells.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/base/time.h"
#include "daemon/metrics/peer_state.h"

namespace kcptun {

/// Why the server counts as unreachable, and when to dial it again though no connection asks for it: without
/// that, nobody would notice that it is back.
class Reachability {
 public:
  /// A dial costs two log lines and a few small packets, so intervals double. The last one bounds how long a
  /// server that is back goes unnoticed on an idle tunnel.
  static constexpr Duration kFirstRedial = seconds(5);
  static constexpr Duration kMaxRedial = seconds(60);

  struct Failure {
    PeerState state = PeerState::kUnanswered;
    TimePoint since{};  // the first answer that is owed
    std::string hint;
  };

  void handle_answer() {
    failure_.reset();
    redial_after_ = kFirstRedial;
  }
  /// A session is over, or was left, in which the server failed. `heard`: it had answered there.
  void handle_failure(Failure failure, bool heard) {
    if (failure_ && !heard) failure.since = std::min(failure.since, failure_->since);
    if (failure_ && failure.hint.empty()) failure.hint = std::move(failure_->hint);
    failure_ = std::move(failure);
  }
  /// None: the server answers, or was not asked yet.
  const std::optional<Failure>& failure() const { return failure_; }
  Duration next_redial() { return std::exchange(redial_after_, std::min(2 * redial_after_, kMaxRedial)); }

 private:
  std::optional<Failure> failure_;
  Duration redial_after_ = kFirstRedial;
};

}  // namespace kcptun
