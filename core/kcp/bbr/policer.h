// Detects a policer: a box that lets a burst through and drops whatever exceeds its rate afterwards.
#pragma once

#include <cstdint>

#include "core/kcp/bbr/loss_model.h"
#include "core/kcp/bbr/model.h"
#include "core/kcp/bbr/policed_rate.h"
#include "core/kcp/bbr/tally.h"

namespace kcptun::bbr {

/// A policer's losses depend on the rate, a lossy path's do not. Losses beyond what the path is known to
/// lose, without a queue, are a suspicion. Then the sender lets leave only as much as arrives for a round
/// trip, which measures the rate that the box delivers, and then sends a little less than that: where the
/// losses stop, it is a policer, and PolicedRate limits the sender. (The long-term bandwidth of BBRv1 in
/// Linux, tcp_bbr.c, lt_bw, has the same goal, and no test.)
class Policer {
 public:
  /// `filled`: Startup has filled the pipe; before, only an overwhelming loss is a suspicion.
  void handle_batch(const Model& model, LossModel& losses, const Batch& batch, bool filled);

  /// True while no more may leave than arrives.
  bool conserves() const { return state_ == State::kMeasuring; }
  /// True while the path's own loss is measured: nothing is sent on top.
  bool tests() const { return state_ == State::kTesting; }
  /// True if a policer was found.
  bool limits() const { return state_ == State::kLimiting; }
  bool suspects() const { return state_ != State::kWatching; }
  /// Bytes per second that may arrive; CongestionController::kUnlimited without a policer.
  std::uint64_t rate() const;

 private:
  enum class State : std::uint8_t { kWatching, kMeasuring, kTesting, kLimiting };

  void watch(const Model& model, const LossModel& losses, const Batch& batch, bool filled);
  void begin_measuring(const AckedEvent& acked);
  void measure(const Model& model, const Batch& batch);
  void test(const Model& model, LossModel& losses, const Batch& batch);
  void limit(const Model& model, const Batch& batch);
  void watch_again(const AckedEvent& acked, Duration pause);

  State state_ = State::kWatching;
  Tally tally_;                // of the state
  Tally before_;               // of kMeasuring: what was lost at the higher rate
  std::uint64_t arrived_ = 0;  // bytes per second, in kMeasuring
  bool counts_ = false;        // kTesting: what was sent before has arrived
  TimePoint state_at_{};
  TimePoint quiet_until_{};
  PolicedRate policed_;
};

}  // namespace kcptun::bbr
