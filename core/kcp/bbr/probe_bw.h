// ProbeBW: sends at the measured bandwidth, and looks for more of it once a cycle.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kcp/bbr/model.h"

namespace kcptun::bbr {

/// A cycle of eight phases ([BBRv1] ProbeBW): one that sends a quarter more, one that sends a quarter less
/// until the queue is gone, six at the bandwidth. In one of eight cycles the phase that sends less lasts
/// longer and measures what the path loses by itself.
class ProbeBw {
 public:
  /// `phase`: any number; sessions that begin together with different ones probe at different times.
  explicit ProbeBw(std::uint32_t phase);

  /// The state machine enters ProbeBW.
  void begin(TimePoint now);
  void handle_loss() { phase_lost_ = true; }
  /// `path_loss`: the share that the path loses by itself.
  void advance(const Model& model, const AckedEvent& acked, double path_loss);

  /// Factor of the bandwidth at which this phase paces.
  double gain() const;
  /// True in a phase that measures the path's loss: nothing is sent on top.
  bool measuring() const { return measuring_; }
  /// True if what arrives at `now` left after the queue had gone.
  bool counts(const Model& model, TimePoint now) const;
  /// Packets that were measured.
  void count(std::uint64_t packets) { phase_packets_ += packets; }

 private:
  bool phase_over(const Model& model, const AckedEvent& acked) const;

  std::size_t phase_;     // of kGains
  TimePoint phase_at_{};  // when it began
  bool phase_lost_ = false;
  std::uint64_t cycle_bandwidth_ = 0;  // bytes per second, when the cycle began
  std::uint32_t cycle_;                // modulo kMeasureCycles; 0 measures
  bool measuring_ = false;
  std::uint64_t phase_packets_ = 0;  // measured in this phase
};

}  // namespace kcptun::bbr
