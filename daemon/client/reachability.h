// The result of a client's last sessions, for the time while it has none.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/base/time.h"
#include "daemon/metrics/peer_state.h"

namespace kcptun {

/// Stores why the server counts as unreachable, and schedules the next dial even if no connection needs one.
/// Without such dials the client would not notice that the server is back.
class Reachability {
 public:
  /// A dial costs two log lines and a few small packets, so the interval doubles after each. Its maximum
  /// bounds how long an idle tunnel takes to notice that the server is back.
  static constexpr Duration kFirstRedial = seconds(5);
  static constexpr Duration kMaxRedial = seconds(60);

  struct Failure {
    PeerState state = PeerState::kUnanswered;
    TimePoint since{};  // the time of the first outstanding answer
    std::string hint;
  };

  void handle_answer() {
    failure_.reset();
    redial_after_ = kFirstRedial;
  }
  /// A session has ended or was replaced because the server failed. `heard`: the server had answered it
  /// before.
  void handle_failure(Failure failure, bool heard) {
    if (failure_ && !heard) failure.since = std::min(failure.since, failure_->since);
    if (failure_ && failure.hint.empty()) failure.hint = std::move(failure_->hint);
    failure_ = std::move(failure);
  }
  /// Nothing if the server answers or was not dialled yet.
  const std::optional<Failure>& failure() const { return failure_; }
  Duration next_redial() { return std::exchange(redial_after_, std::min(2 * redial_after_, kMaxRedial)); }

 private:
  std::optional<Failure> failure_;
  Duration redial_after_ = kFirstRedial;
};

}  // namespace kcptun
