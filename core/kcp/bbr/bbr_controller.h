// The congestion controller of nc 1: BBR (Cardwell et al., ACM Queue 14(5), 2016; draft-ietf-ccwg-bbr).
// Losses alone do not slow it down.
#pragma once

#include <cstdint>

#include "core/kcp/bbr/inflight_hi.h"
#include "core/kcp/bbr/loss_model.h"
#include "core/kcp/bbr/model.h"
#include "core/kcp/bbr/policer.h"
#include "core/kcp/bbr/probe_bw.h"
#include "core/kcp/bbr/probe_rtt.h"
#include "core/kcp/bbr/slowdown.h"
#include "core/kcp/bbr/startup.h"
#include "core/kcp/congestion.h"

namespace kcptun {

/// The state machine of BBR, which moves between the states in the files beside this one, and computes the
/// window and the pacing rate from what the model has measured. Losses count in two cases: together with a
/// queue (then sessions overflow it), and beyond what the path loses while less is sent (then a policer
/// drops).
class BbrController final : public CongestionController {
 public:
  /// `packet_size`: bytes of a full packet. `phase`: see ProbeBw.
  BbrController(std::uint64_t packet_size, std::uint32_t phase);

  void on_lost(const LostEvent& lost) override;
  void on_acked(const AckedEvent& acked) override;
  void on_path_changed() override { *this = BbrController(next_packet_size_, phase_); }
  /// The limits that count in packets keep the size with which the path began.
  void on_mtu_changed(std::uint64_t bytes) override { next_packet_size_ = bytes; }
  std::uint64_t window() const override { return window_; }
  std::uint64_t pacing_rate() const override { return pacing_rate_; }
  PathEstimate estimate() const override;

 private:
  enum class State : std::uint8_t { kStartup, kDrain, kProbeBw, kProbeRtt };

  void update_model(const AckedEvent& acked);
  void handle_round();
  void handle_losses(const bbr::Batch& batch);
  void detect_slowdown(const bbr::Batch& batch);
  void advance(const AckedEvent& acked);
  void begin_probe_bw(TimePoint now);
  void begin_probe_rtt(TimePoint now);
  void advance_probe_rtt(const AckedEvent& acked);
  double pacing_gain() const;
  void update_pacing_rate();
  void update_window(const AckedEvent& acked);
  std::uint64_t target_window() const;
  std::uint64_t min_window() const;

  std::uint64_t packet_size_;
  std::uint64_t next_packet_size_;  // of the next path
  std::uint32_t phase_;
  State state_ = State::kStartup;
  std::uint32_t batch_lost_ = 0;    // packets found lost since the last on_acked()
  std::uint32_t batch_events_ = 0;  // LostEvent::events of the same

  bbr::Model model_;
  bbr::LossModel losses_;
  bbr::Policer policer_;
  bbr::Slowdown slowdown_;
  bbr::InflightHi inflight_hi_;
  bbr::Startup startup_;
  bbr::ProbeBw probe_bw_;
  bbr::ProbeRtt probe_rtt_;

  std::uint64_t window_;
  std::uint64_t pacing_rate_ = 0;
};

}  // namespace kcptun
