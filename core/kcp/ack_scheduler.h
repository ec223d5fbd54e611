// What is to be acknowledged and advertised to the peer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/base/serial.h"
#include "core/base/time.h"
#include "core/kcp/ack_queue.h"
#include "core/kcp/receive_window.h"

namespace kcptun {

/// Knows the pending acknowledgements and what the last packet advertised: una, the window and when. Decides
/// which duplicates need an acknowledgement and when a window update leaves without being asked for. The
/// caller writes packets.
class AckScheduler {
 public:
  explicit AckScheduler(std::uint32_t window) : last_advertised_window_(window) {}

  /// Segment `sn` arrived in a transmission with the time stamp `ts`.
  void add(std::uint32_t sn, std::uint32_t ts) { queue_.add(sn, ts); }
  /// The same of a duplicate that its copy has overtaken.
  void add_late(std::uint32_t sn, std::uint32_t ts) { queue_.add(sn, ts, AckQueue::Urgency::kAlways); }
  bool has_acks() const { return !queue_.empty(); }
  /// See AckQueue::write().
  std::size_t write(PacketWriter& writer, const Segment& blank) { return queue_.write(writer, blank); }

  /// True if the peer cannot have seen yet that `sn` is acknowledged: a duplicate that arrives now left
  /// before that, as a copy, and needs no further acknowledgement unless it was overtaken by the copy.
  bool ack_in_flight(TimePoint now, std::uint32_t sn, Duration min_rtt) const {
    return serial_less(sn, last_advertised_una_) && now - last_advertised_at_ < min_rtt;
  }

  /// The peer asked for the window (WASK).
  void request_window_update() { update_requested_ = true; }
  /// True if a packet of `size` bytes so far must carry a window update: it was asked for, or nothing else
  /// tells the peer that a closed window is open again.
  bool window_update_due(std::size_t size, const ReceiveWindow& receive) const {
    return update_requested_ || (size == 0 && has_reopened(receive));
  }
  void handle_window_update_sent() { update_requested_ = false; }

  /// A packet leaves, whose segments carry the una and the window of `receive`.
  void handle_sent(TimePoint now, const ReceiveWindow& receive) {
    last_advertised_window_ = receive.free();
    last_advertised_una_ = receive.next();
    last_advertised_at_ = now;
  }
  void trim() { queue_.trim(); }

 private:
  /// A window of at most this share counts as closed. Larger values send updates that the next
  /// acknowledgement would carry.
  static constexpr std::uint32_t kClosedShare = 8;
  /// It counts as open again from this share on; RFC 9293 section 3.8.6.2.2 has the same half against silly
  /// windows.
  static constexpr std::uint32_t kOpenShare = 2;

  bool has_reopened(const ReceiveWindow& receive) const {
    return last_advertised_window_ <= receive.window() / kClosedShare &&
           receive.free() >= std::max(receive.window() / kOpenShare, 1u);
  }

  AckQueue queue_;
  bool update_requested_ = false;
  std::uint32_t last_advertised_window_;
  std::uint32_t last_advertised_una_ = 0;
  TimePoint last_advertised_at_{};
};

}  // namespace kcptun
