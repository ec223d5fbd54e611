// The interface of congestion controllers: how many bytes may be in flight, and how fast they may leave.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

#include "core/base/time.h"
#include "core/kcp/delivery_rate.h"

namespace kcptun {

/// A packet with data left.
struct SentEvent {
  TimePoint now{};
  std::uint64_t bytes = 0;      // of its data segments, with their headers and shares of parity
  std::uint64_t in_flight = 0;  // bytes, these included
};

/// Packets were found lost. `packets` and `events` are counts, because a path drops packets and not bytes: a
/// share of loss and its confidence need a number of trials.
struct LostEvent {
  std::uint32_t packets = 0;
  std::uint32_t events = 0;     // the same, but packets that left one after another count once
  std::uint64_t in_flight = 0;  // bytes in flight before they were found; each packet counts as a full one
};

/// A batch of received packets acknowledged something, or revealed a loss: then `bytes` may be 0.
struct AckedEvent {
  TimePoint now{};
  std::uint32_t packets = 0;      // acknowledged for the first time
  std::uint64_t bytes = 0;        // the same, with headers and shares of parity
  std::uint64_t peer_window = 0;  // bytes that the receiver has room for; each segment counts as a full one
  std::uint64_t in_flight = 0;    // bytes, after this batch
  std::uint64_t delivered = 0;    // bytes acknowledged since the session began
  std::optional<Duration> rtt;    // the smallest sample of the batch
  std::optional<RateSample> rate;
};

/// What a controller knows of its path, for metrics.
struct PathEstimate {
  std::uint64_t bandwidth = 0;    // bytes of segments per second, 0: unknown
  Duration round_trip{0};         // the recent minimum, 0: unknown
  std::uint64_t window = 0;       // bytes that may be in flight, 0: no limit
  std::uint64_t pacing_rate = 0;  // bytes per second, 0: not paced
};

/// Takes events, answers with a window and a rate, both in bytes. Reads no clock, sends nothing, knows no
/// segment number. Kcp reports the events of one batch in the order of RFC 9002 appendix A.7: on_spurious(),
/// on_lost(), on_acked(). Each event has a default that ignores it.
class CongestionController {
 public:
  static constexpr std::uint64_t kUnlimited = std::numeric_limits<std::int64_t>::max();
  /// What send_limit() returns where no window limits the segments.
  static constexpr std::uint32_t kAllSegments = std::numeric_limits<std::int32_t>::max();

  /// What window() limits.
  enum class WindowScope : std::uint8_t {
    kInFlight,  // bytes in flight, as RFC 9002 section 7 counts them
    kFromUna,   // the distance from una, as KCP counts: what arrived out of order or was found lost takes
                // room, too
  };

  virtual ~CongestionController() = default;

  virtual void on_sent(const SentEvent&) {}
  virtual void on_lost(const LostEvent&) {}
  virtual void on_acked(const AckedEvent&) {}
  /// A retransmission time-out ran out (nc 0 only; tail-loss probes are no time-outs).
  virtual void on_timeout() {}
  /// The last loss that was reported was none: an acknowledgement of the original transmission arrived.
  virtual void on_spurious() {}
  /// The peer has another address: nothing that was measured is valid any more (RFC 9000 section 9.4).
  virtual void on_path_changed() {}
  /// A full packet has `bytes` from now on.
  virtual void on_mtu_changed(std::uint64_t bytes) { static_cast<void>(bytes); }
  /// The session may send `rate` bytes per second from now on; 0: no limit.
  virtual void on_rate_limit_changed(std::uint64_t rate) { static_cast<void>(rate); }

  virtual std::uint64_t window() const { return kUnlimited; }
  virtual WindowScope scope() const { return WindowScope::kInFlight; }
  /// Bytes per second at which data may leave; 0: not paced.
  virtual std::uint64_t pacing_rate() const { return 0; }
  virtual PathEstimate estimate() const { return {}; }

  /// Bytes that may be in flight.
  std::uint64_t in_flight_limit() const { return scope() == WindowScope::kInFlight ? window() : kUnlimited; }
  /// Segments that may be sent from una on, where full packets have `packet_size` bytes. This is the only
  /// place where a window becomes a number of segments.
  std::uint32_t send_limit(std::uint64_t packet_size) const {
    if (scope() == WindowScope::kInFlight) return kAllSegments;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(window() / packet_size, kAllSegments));
  }
};

}  // namespace kcptun
