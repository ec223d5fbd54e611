// Startup: doubles the rate each round trip until the pipe is full.
#pragma once

#include <cstdint>

#include "core/kcp/bbr/model.h"

namespace kcptun::bbr {

/// Factor of the bandwidth at which Startup paces: 2/ln 2, the smallest that lets the delivered rate double
/// each round by the analysis of [BBRv1] (Startup); [BBR] BBR.StartupPacingGain derives 2.77. Lower: Startup
/// takes more rounds. Higher: it overflows the queue by more. [lab] "RTT 50 ms, 100 Mbit/s, no loss", whose
/// goodput includes Startup.
inline constexpr double kStartupGain = 2.89;

/// Decides when Startup ends: the bandwidth stops growing, a queue shows, or losses show that one overflowed.
class Startup {
 public:
  /// A batch may show within a round that the pipe overflows.
  void handle_batch(const Model& model, const AckedEvent& acked);
  /// A round has ended. REQUIRES: !pipe_filled().
  void handle_round(const Model& model);
  /// A policer limits the rate: it would not grow any more.
  void handle_policer() { pipe_filled_ = true; }
  /// The state machine has left Startup.
  void handle_exit(TimePoint now) { exited_at_ = now; }
  /// A probe of the round trip is over. Where Startup ended for a queue, and the probe shows that it was a
  /// longer path, Startup goes on: pipe_filled() is false again.
  void handle_probe(bool longer_path, TimePoint now);

  bool pipe_filled() const { return pipe_filled_; }

 private:
  bool overflows(const Model& model, const Round& round, std::uint32_t samples) const;
  bool floods_slow_path(const Model& model, const AckedEvent& acked);

  // Share of packets. A loss of 10 % is nothing unusual on the paths for which kcptun is used.
  static constexpr double kFirstLoss = 0.1;

  bool pipe_filled_ = false;
  double loss_ = kFirstLoss;  // the smallest share of a round so far
  std::uint64_t full_bandwidth_ = 0;
  std::uint32_t rounds_without_growth_ = 0;
  TimePoint exited_at_{};
  bool ended_for_queue_ = false;
  std::uint32_t late_ = 0;  // samples of the round trip in a row that show a queue
  TimePoint late_since_{};
};

}  // namespace kcptun::bbr
