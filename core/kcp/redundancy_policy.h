// How much redundancy a path may carry beside the data.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/kcp/congestion.h"
#include "core/kcp/idle_capacity.h"
#include "core/kcp/segment.h"

namespace kcptun {

/// Decides on the three kinds of redundancy and keeps their budgets: parity packets, redundant transmissions
/// of a thin stream's segments, and duplicate retransmissions. Parity is charged to the idle capacity.
/// Duplicate retransmissions need idle capacity and are not charged. Redundant transmissions have a credit of
/// their own, one byte for each byte that leaves anyhow. Knows the path's figures; does not know which
/// segments leave.
class RedundancyPolicy {
 public:
  /// kParityOnly: with KCP's own loss detection (nc 0) segments leave as kcptun sends them.
  enum class Scope : std::uint8_t { kAll, kParityOnly };
  explicit RedundancyPolicy(Scope scope) : scope_(scope) {}

  /// The path at the moment of a decision.
  struct Path {
    std::uint64_t bandwidth = 0;  // PathEstimate::bandwidth
    double loss = 0;              // share of packets
    bool has_room = false;        // the application or the windows leave it idle
    std::size_t packet_size = 0;
  };

  // --- idle capacity ---

  /// See IdleCapacity.
  void begin_idle(TimePoint now) { idle_.begin_idle(now); }
  bool is_idle() const { return idle_.is_idle(); }
  void end_idle(TimePoint now, const PathEstimate& path) { idle_.end_idle(now, path); }
  void charge_parity(std::uint64_t bytes) { idle_.spend(bytes); }
  /// Packets that the path would have carried while it was idle. Without a bandwidth estimate there is no
  /// figure: then all or none.
  std::uint32_t idle_packets(const Path& path) const {
    if (path.bandwidth == 0) return path.has_room ? kMaxShards : 0;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(idle_.bytes() / path.packet_size, kMaxShards));
  }
  /// Forgets what was measured on the old path.
  void reset_path() { idle_ = IdleCapacity(); }

  // --- duplicate retransmissions ---

  /// True if lost segments should leave twice: a retransmission that is lost costs another round trip, and
  /// where the path is idle the duplicate costs nothing.
  bool duplicates_retransmissions(const Path& path) const {
    return scope_ == Scope::kAll && path.loss >= kDuplicateLoss && (path.has_room || idle_packets(path) > 0);
  }

  // --- redundant transmissions ---

  /// A packet of `bytes` bytes leaves. At most one packet's worth of credit is kept.
  void earn_credit(std::size_t bytes, std::size_t packet_size) {
    credit_ = std::min(credit_ + bytes + kDatagramHeaders, packet_size);
  }
  /// Data bytes that a redundant segment may have, 0: none may leave. Only segments of up to a quarter of
  /// `segment_size` are worth it: keystrokes and small requests.
  std::size_t redundant_room(double loss, Duration min_rtt, std::size_t segment_size) const {
    if (scope_ != Scope::kAll || loss < kRedundantLoss || credit_ <= kSegmentHeader) return 0;
    if (min_rtt < kRedundantRtt) return 0;
    return std::min(credit_ - kSegmentHeader, segment_size / 4);
  }
  /// A segment of which nothing was heard for the smoothed RTT and this much longer gets one more redundant
  /// transmission. Peers acknowledge within a batch or a scheduler's tick; a smaller value repeats segments
  /// that are being acknowledged.
  static constexpr Duration kOverdueSlack = milliseconds(4);
  /// Redundant transmissions per segment.
  static std::uint8_t copies(double loss) { return loss < kTwoCopiesLoss ? 1 : 2; }
  /// A redundant transmission with `data` data bytes leaves. REQUIRES: data <= redundant_room().
  void charge_redundant(std::size_t data) { credit_ -= kSegmentHeader + data; }
  std::size_t credit() const { return credit_; }

  /// Loss, a share of packets, from which on thin streams have redundant transmissions. Below it one message
  /// in a thousand waits for a retransmission, and twice the bytes would buy no more.
  static constexpr double kRedundantLoss = 0.001;
  /// Loss from which on there are two of them: at 3 % one message in a thousand loses both transmissions.
  static constexpr double kTwoCopiesLoss = 0.03;
  /// Minimum RTT from which on they are worth their bytes. On a shorter path a retransmission is as fast as
  /// the next packet.
  static constexpr Duration kRedundantRtt = milliseconds(5);
  /// Loss from which on lost segments leave twice. Below it at most one retransmission in a hundred is lost.
  static constexpr double kDuplicateLoss = 0.01;
  /// Bytes of a datagram beside the KCP packet: IP, UDP, nonce and FEC headers (20 + 8 + 20 + 8). They count
  /// towards the credit because a thin stream's traffic consists of them for the most part.
  static constexpr std::size_t kDatagramHeaders = 56;

 private:
  const Scope scope_;
  IdleCapacity idle_;
  std::size_t credit_ = 0;  // bytes
};

}  // namespace kcptun
