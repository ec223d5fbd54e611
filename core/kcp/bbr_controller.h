// The congestion controller that models its path: what it delivers at most and how long it takes at least.
// After BBR (Cardwell et al., ACM Queue 14(5), 2016; draft-cardwell-iccrg-bbr-congestion-control-02): losses
// alone slow nobody down.
#pragma once

#include <array>
#include <cstdint>

#include "core/kcp/congestion.h"
#include "core/kcp/windowed_max.h"

namespace kcptun {

/// Startup doubles the rate each round trip until the path delivers no more or its queue grows; Drain empties
/// that queue; ProbeBandwidth then sends at the measured rate and tries a quarter more in one of eight round
/// trips; ProbeRoundTrip lets the queue run empty for a moment where nothing else showed the smallest round
/// trip for 10 s, and at once where the path has become longer. Losses count only together with a queue: then they are our
/// own, or a neighbour's whose share we take; or beyond what the path loses while less is sent: then they are a policer's.
class BbrController final : public CongestionController {
 public:
  BbrController(std::uint64_t segment_size, std::uint32_t phase);

  void on_lost(const LostEvent& lost) override;
  void on_acked(const AckedEvent& acked) override;
  void on_path_changed() override { *this = BbrController(next_segment_size_, phase_); }
  void on_mtu_changed(std::uint64_t bytes) override { next_segment_size_ = bytes; }
  std::uint64_t window() const override { return window_; }
  std::uint64_t pacing_rate() const override { return pacing_rate_; }
  PathEstimate estimate() const override;

 private:
  enum class State : std::uint8_t { kStartup, kDrain, kProbeBandwidth, kProbeRoundTrip };

  // What one round trip has told so far.
  struct Round {
    std::uint64_t acked = 0;  // segments
    std::uint64_t lost = 0;
    std::uint32_t loss_events = 0;
    std::uint32_t samples = 0;
    Duration shortest = Duration::max();  // of these
    void discard_rtt_samples() { samples = 0, shortest = Duration::max(); }
    bool app_limited = false;
    std::uint64_t most_in_flight = 0;
    std::uint64_t packets() const { return acked + lost; }
    double loss() const { return packets() > 0 ? static_cast<double>(lost) / static_cast<double>(packets()) : 0; }
  };

  void update_round(const AckedEvent& batch);
  void update_bandwidth(const AckedEvent& batch);
  void update_round_trip(const AckedEvent& batch);
  void update_aggregation(const AckedEvent& batch);
  void finish_round(const AckedEvent& batch);
  void note_loss();
  void check_full_pipe();
  void adapt_inflight_hi();
  void advance(const AckedEvent& batch);
  void begin_probing(TimePoint now);
  void advance_cycle(const AckedEvent& batch);
  void advance_round_trip_probe(const AckedEvent& batch);
  void set_outputs(const AckedEvent& batch);
  bool shows_queue(const Round& round, std::uint32_t samples) const;
  void watch_round_trip();
  void measure_loss(const AckedEvent& batch);
  double loss_bound() const;
  void watch_policer(const AckedEvent& batch);
  bool overflows(const Round& round, std::uint32_t samples) const;
  double pacing_gain() const;
  std::uint64_t product(double gain) const;

  std::uint64_t segment_size_;
  std::uint64_t next_segment_size_;  // of the next path
  std::uint32_t phase_;
  std::uint32_t batch_lost_ = 0;  // packets found lost since the last on_acked()
  State state_ = State::kStartup;

  WindowedMax<std::uint64_t> bandwidth_;
  Duration round_trip_{0};  // 0: none yet
  TimePoint round_trip_at_{};
  std::uint64_t round_ = 0;
  std::uint64_t round_ends_at_ = 0;  // delivered bytes
  Round current_;
  Round last_;

  bool pipe_filled_ = false;
  double startup_loss_ = 0.1;  // the smallest of its rounds, where they told
  std::uint64_t full_bandwidth_ = 0;
  std::uint32_t rounds_without_growth_ = 0;

  std::size_t cycle_ = 0;
  TimePoint cycle_at_{};
  bool cycle_lost_ = false;
  std::uint64_t cycle_bandwidth_ = 0;  // when the cycle began

  double path_loss_ = 0;       // share of packets
  double cycle_loss_ = 1;      // the smallest of the rounds so far
  std::size_t cycle_rounds_ = 0;

  // The loss of what left in a phase that sends less for long enough, in some of the cycles: what a policer, or a full
  // queue, takes from us is not among it.
  bool measuring_ = false;
  std::uint32_t cycles_;
  std::uint64_t phase_packets_ = 0;  // counted in the phase that goes on
  double measured_packets_ = 0;      // of all phases, the older ones weigh less
  double measured_lost_ = 0;

  // A policer lets a burst through and then drops: what it delivers on average is taken for a while.
  std::uint64_t policed_rate_ = kUnlimited;
  std::uint64_t policed_until_ = 0;   // round
  std::uint64_t policed_rounds_ = 0;  // how long that was, 0: there is none
  struct Interval {
    TimePoint since{};
    std::uint64_t delivered = 0;  // bytes, by then
    std::uint64_t rounds = 0;
    std::uint64_t packets = 0;
    std::uint64_t lost = 0;
  };
  Interval unpoliced_;

  std::uint32_t long_rounds_ = 0;  // one after another that took longer than a queue of ours explains
  std::uint32_t queued_rounds_ = 0;  // one after another that showed a queue
  TimePoint probed_at_{};
  TimePoint startup_ended_at_{};
  bool startup_saw_queue_ = false;  // it ended for nothing else
  TimePoint probe_done_at_{};
  bool probe_reached_floor_ = false;

  // Acknowledgements beyond what the bandwidth explains: the receiver holds them back and sends them in
  // bunches.
  WindowedMax<std::uint64_t> extra_acked_;
  TimePoint epoch_at_{};
  std::uint64_t epoch_acked_ = 0;

  std::uint64_t judged_packets_ = 0;  // of the rounds that adapt_inflight_hi() judges together
  std::uint64_t judged_lost_ = 0;
  std::uint64_t inflight_hi_ = kUnlimited;  // of the window: what the queue took without loss
  std::uint64_t window_;
  std::uint64_t pacing_rate_ = 0;
};

}  // namespace kcptun
