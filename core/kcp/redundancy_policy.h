// How much redundancy a path may carry beside the data.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/kcp/congestion.h"
#include "core/kcp/redundancy_budget.h"
#include "core/kcp/segment.h"
#include "core/kcp/thin_meter.h"

namespace kcptun {

/// Decides on the three kinds of redundancy: parity packets, copies of a thin stream's segments, and
/// duplicate retransmissions. All are charged to one budget when they leave. Knows the path's figures and how
/// much the session sends; does not know which segments leave.
class RedundancyPolicy {
 public:
  /// kParityOnly: with KCP's own loss detection (nc 0) segments leave as kcptun sends them.
  enum class Scope : std::uint8_t { kAll, kParityOnly };
  RedundancyPolicy(Scope scope, ThinMode thin) : scope_(scope), thin_(thin) {}
  void set_thin_mode(ThinMode thin) { thin_ = thin; }

  /// The path at the moment of a decision.
  struct Path {
    std::uint64_t bandwidth = 0;  // PathEstimate::bandwidth
    double loss = 0;              // share of packets, as measured
    double assumed_loss = 0;      // the same, with what was not measured yet
    bool has_room = false;        // the application or the windows leave it idle
    std::size_t packet_size = 0;
    Duration min_rtt{0};  // 0: not measured yet
    Duration queue{0};    // by which the smoothed RTT exceeds it
  };

  // --- the budget ---

  /// See RedundancyBudget.
  void begin_idle(TimePoint now) { budget_.begin_idle(now); }
  bool is_idle() const { return budget_.is_idle(); }
  /// A thin stream's bandwidth is what it sends itself: its idle time says nothing about the path.
  void end_idle(TimePoint now, const PathEstimate& path) {
    if (copies_in_use_) return budget_.discard_idle();
    budget_.end_idle(now, path);
  }
  void charge(std::uint64_t bytes) { budget_.spend(bytes); }
  std::uint64_t budget() const { return budget_.bytes(); }
  /// Forgets what was measured on the old path.
  void reset_path() {
    budget_ = RedundancyBudget();
    hold_until_ = {};
    hold_ = kFirstHold;
  }

  // --- parity ---

  /// Packets of parity that may leave. Without a bandwidth estimate there is no figure: then all or none. A
  /// thin stream spends its budget on copies, which need not wait for a group to fill.
  std::uint32_t parity_packets(const Path& path) const {
    if (copies_in_use_) return 0;
    if (path.bandwidth == 0) return path.has_room ? kMaxShards : 0;
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(budget_.bytes() / path.packet_size, kMaxShards));
  }

  // --- duplicate retransmissions ---

  /// True if lost segments should leave twice: a retransmission that is lost costs another round trip, and
  /// where the path is idle the duplicate costs nothing.
  bool duplicates_retransmissions(const Path& path) const {
    return scope_ == Scope::kAll && path.loss >= kDuplicateLoss &&
           (path.has_room || budget_.bytes() >= path.packet_size);
  }

  // --- copies of a thin stream's segments ---

  /// `bytes` stream bytes leave for the first time.
  void handle_data_sent(TimePoint now, std::size_t bytes) { meter_.handle_sent(now, bytes); }
  /// Open streams of the session. Without any, only control frames leave, which no application waits for.
  void set_streams(std::size_t streams) { streams_ = streams; }
  /// False if decide_copies() would return 0 whatever the path is, and change nothing. It is called for each
  /// packet, and the path's figures cost a bulk session more than this.
  bool may_have_copies(TimePoint now) const { return copies_in_use_ || is_eligible(now); }
  /// Copies of each segment that leaves at `now`; 0: the session is not thin, or its path needs none.
  std::uint8_t decide_copies(TimePoint now, const Path& path) {
    if (copies_in_use_ && thin_ == ThinMode::kAuto && shows_queue(path)) {
      hold_until_ = now + hold_;
      hold_ = std::min<Duration>(2 * hold_, kMaxHold);
    }
    std::uint8_t copies = now < hold_until_ ? std::uint8_t{0} : copies_of(now, path);
    if (budget_.bytes() < path.packet_size) copies = std::min(copies, kFirstCopies);
    copies_in_use_ = copies > 0;
    return copies;
  }
  /// The last decision: thin streams have copies.
  bool copies_in_use() const { return copies_in_use_; }
  /// A packet of `bytes` bytes with no copy in it leaves while copies are in use.
  void earn(std::size_t bytes, std::size_t packet_size) {
    budget_.earn((bytes + kDatagramHeaders) * kEarnedQuarters / 4, kBudgetPackets * packet_size);
  }
  /// Data bytes that the budget permits in a copy, whose packet costs `header` more bytes; 0: none.
  std::size_t copy_room(std::size_t header) const {
    const std::uint64_t bytes = budget_.bytes();
    return bytes <= header + kSegmentHeader ? 0 : static_cast<std::size_t>(bytes - header - kSegmentHeader);
  }

  /// Loss, a share of packets, from which on thin streams have copies. Below it one message in a thousand
  /// waits for a retransmission, and twice the bytes would buy no more.
  static constexpr double kThinLoss = 0.001;
  /// Loss from which on there are two, three and four copies. With them at most one segment in sixty thousand
  /// loses all transmissions at 2.5, 6 and 10 % loss; as all streams of a session wait for it, some twenty
  /// messages do. Lower values only cost bytes.
  static constexpr double kTwoCopiesLoss = 0.005;
  static constexpr double kThreeCopiesLoss = 0.025;
  static constexpr double kFourCopiesLoss = 0.06;
  /// Minimum RTT from which on they are worth their bytes. On a shorter path a retransmission is as fast as
  /// the next packet.
  static constexpr Duration kThinRtt = milliseconds(5);
  /// Excess of the smoothed RTT over the minimum, or half of the minimum if that is more, from which on the
  /// path's queue may consist of copies. Lower: jitter passes for a queue. Higher: a path of 128 kbit/s is
  /// filled for longer before it shows.
  static constexpr Duration kMaxQueue = milliseconds(25);
  /// How long there are no copies then, at first and at most; each time doubles it. Lower: such a path is
  /// filled more often. Higher: a path with a passing queue loses messages for longer. The first one is above
  /// the RTT's memory in RttEstimator::kMinimumAge, so that a minimum without copies is known.
  static constexpr Duration kFirstHold = seconds(10);
  static constexpr Duration kMaxHold = seconds(160);
  /// Quarters of a byte that a thin stream earns with each byte that leaves anyhow: 2.25 bytes, so that the
  /// path has at most 3.5 times the plain bytes, retransmissions included. 2 would do for two copies; the
  /// rest pays for further ones, which ride along. Higher values raise the bound that docs/develop/limits.md
  /// states.
  static constexpr std::uint64_t kEarnedQuarters = 9;
  /// Packets' worth that is kept of it: what leaves in the time that the copies wait. With fewer, the last
  /// messages of a burst get none.
  static constexpr std::uint64_t kBudgetPackets = 8;
  /// Copies that come first: further ones leave only while a packet's worth of the budget is kept for them.
  static constexpr std::uint8_t kFirstCopies = 2;
  /// Loss from which on lost segments leave twice. Below it at most one retransmission in a hundred is lost.
  static constexpr double kDuplicateLoss = 0.01;
  /// Bytes of a datagram beside the KCP packet: IP, UDP, nonce and FEC headers (20 + 8 + 20 + 8). They count
  /// because a thin stream's traffic consists of them for the most part.
  static constexpr std::size_t kDatagramHeaders = 56;

 private:
  bool is_eligible(TimePoint now) const {
    return scope_ == Scope::kAll && thin_ != ThinMode::kOff && streams_ > 0 && meter_.is_thin(now);
  }
  std::uint8_t copies_of(TimePoint now, const Path& path) const {
    if (!is_eligible(now)) return 0;
    if (thin_ == ThinMode::kOn) return copies_at(std::max(path.assumed_loss, kTwoCopiesLoss));
    if (path.min_rtt > Duration(0) && path.min_rtt < kThinRtt) return 0;
    return copies_at(path.assumed_loss);
  }
  static bool shows_queue(const Path& path) {
    return path.queue > std::max<Duration>(kMaxQueue, path.min_rtt / 2);
  }
  static std::uint8_t copies_at(double loss) {
    return static_cast<std::uint8_t>((loss >= kThinLoss) + (loss >= kTwoCopiesLoss) +
                                     (loss >= kThreeCopiesLoss) + (loss >= kFourCopiesLoss));
  }

  const Scope scope_;
  ThinMode thin_;
  RedundancyBudget budget_;
  ThinMeter meter_;
  std::size_t streams_ = 1;
  bool copies_in_use_ = false;
  TimePoint hold_until_{};
  Duration hold_ = kFirstHold;
};

}  // namespace kcptun
