// How much may be under way, and how fast it may leave: the congestion controllers of a conversation.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/kcp/delivery_rate.h"

namespace kcptun {

/// What one batch of packets told a sender.
struct AckedBatch {
  TimePoint now{};
  std::uint32_t segments = 0;     // newly acknowledged
  std::uint64_t bytes = 0;        // the same, headers and shares of parity included
  std::uint32_t lost = 0;         // segments found lost by it
  std::uint32_t loss_events = 0;  // the same, but those that left one after another count once
  std::uint32_t peer_window = 0;  // segments
  std::uint64_t in_flight = 0;    // bytes still under way
  std::uint64_t delivered = 0;    // bytes acknowledged in the conversation's life
  std::optional<Duration> rtt;    // the smallest of the batch
  std::optional<RateSample> rate;
};

/// What a controller believes of the path, for people.
struct PathEstimate {
  std::uint64_t bandwidth = 0;    // bytes of segments per second, 0: not known
  Duration round_trip{0};         // the smallest of late, 0: not known
  std::uint64_t window = 0;       // bytes that may be under way, 0: no limit
  std::uint64_t pacing_rate = 0;  // bytes per second, 0: not paced
};

/// Told what happens to segments, answers with a window and a rate. Values in, values out: no time is read,
/// nothing is sent.
class CongestionController {
 public:
  static constexpr std::uint32_t kNoWindow = std::numeric_limits<std::int32_t>::max();
  static constexpr std::uint64_t kNoByteWindow = std::numeric_limits<std::int64_t>::max();

  virtual ~CongestionController() = default;
  /// A batch of packets is over that acknowledged something or found something lost.
  virtual void handle_batch(const AckedBatch& batch) = 0;
  /// Copies were overtaken, `in_flight` segments before that.
  virtual void on_packet_threshold_loss(std::uint32_t in_flight) = 0;
  /// Copies timed out.
  virtual void on_retransmission_timeout() = 0;
  /// What was last found lost was not.
  virtual void handle_spurious() = 0;
  /// Segments that may be past una.
  virtual std::uint32_t window() const { return kNoWindow; }
  /// Bytes that may be under way, headers included.
  virtual std::uint64_t byte_window() const { return kNoByteWindow; }
  /// Bytes per second at which data may leave; 0: at once.
  virtual std::uint64_t pacing_rate() const { return 0; }
  virtual PathEstimate estimate() const { return {}; }
};

/// The controller of `tuning.congestion` (docs/architecture.md, "Congestion control"):
/// kModel: BbrController where nc is 1, else as kClassic.
/// kClassic: nc 1: no congestion window, only the two windows count; nc 0: KCP's own controller, slow start
/// and additive increase (RFC 5681 in units of segments); a reduction for a loss that was none is taken back
/// (RFC 4015 section 3.2). kOff: no congestion window whatever nc says. `segment_size`: bytes of a full
/// segment, header included. `phase`: any number; conversations that begin together with different ones don't
/// probe together.
std::unique_ptr<CongestionController> make_congestion_controller(const KcpTuning& tuning,
                                                                 std::uint32_t segment_size,
                                                                 std::uint32_t phase);

}  // namespace kcptun
