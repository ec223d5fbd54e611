// KCP's own congestion controller (nc 0): slow start and congestion avoidance after RFC 5681, with KCP's
// constants.
#include <algorithm>
#include <utility>

#include "core/kcp/congestion.h"
#include "core/kcp/congestion_table.h"

namespace kcptun {
namespace {

/// Counts in full packets, as KCP does: each acknowledged packet counts as a full one, whatever its size. All
/// values are multiples of the packet size in bytes.
class KcpController final : public CongestionController {
 public:
  KcpController(std::uint64_t packet_size, std::uint32_t resend)
      : packet_size_(packet_size), resend_(resend), window_(packet_size), window_before_(packet_size) {}

  // KCP counts what a batch acknowledged before it reacts to the losses that the batch revealed.
  void on_lost(const LostEvent& lost) override { reduce_from_ = lost.in_flight; }
  void on_acked(const AckedEvent& acked) override {
    for (std::uint32_t packets = acked.packets; packets > 0 && window_ < acked.peer_window; --packets) grow();
    if (const std::uint64_t in_flight = std::exchange(reduce_from_, 0); in_flight > 0) reduce(in_flight);
  }
  void on_timeout() override {
    remember();
    threshold_ = std::max(half(window_), kMinThreshold * packet_size_);
    window_ = packet_size_;
    credit_ = 0;
  }
  /// Takes the latest reduction back (RFC 4015 section 3.2).
  void on_spurious() override {
    window_ = std::max(window_, window_before_);
    threshold_ = std::max(threshold_, threshold_before_);
  }
  void on_path_changed() override { *this = KcpController(packet_size_, resend_); }
  /// The window keeps its number of packets.
  void on_mtu_changed(std::uint64_t bytes) override {
    for (std::uint64_t* value :
         {&window_, &threshold_, &window_before_, &threshold_before_, &credit_, &reduce_from_})
      if (*value != kUnlimited) *value = *value / packet_size_ * bytes;
    packet_size_ = bytes;
  }
  std::uint64_t window() const override { return window_; }
  WindowScope scope() const override { return WindowScope::kFromUna; }

 private:
  void grow() {
    if (window_ < threshold_) {
      window_ += packet_size_;  // slow start: one packet for each acknowledged one
    } else if ((credit_ += packet_size_) >= window_) {
      credit_ = 0;  // congestion avoidance: one packet for each acknowledged window
      window_ += packet_size_;
    }
  }
  void reduce(std::uint64_t in_flight) {
    remember();
    threshold_ = std::max(half(in_flight), kMinThreshold * packet_size_);
    window_ = threshold_ + resend_ * packet_size_;
    credit_ = 0;
  }
  void remember() {
    window_before_ = window_;
    threshold_before_ = threshold_;
  }
  // In whole packets, rounded down.
  std::uint64_t half(std::uint64_t bytes) const { return bytes / packet_size_ / 2 * packet_size_; }

  // Packets. KCP's IKCP_THRESH_MIN, and the minimum of RFC 5681 section 3.1, equation 4. Lower: an
  // acknowledgement that is late stops the stream. Higher: a path that drops for want of bandwidth is sent
  // more.
  static constexpr std::uint64_t kMinThreshold = 2;

  std::uint64_t packet_size_;
  std::uint32_t resend_;
  std::uint64_t window_;
  std::uint64_t threshold_ = kUnlimited;
  std::uint64_t window_before_;  // the latest reduction
  std::uint64_t threshold_before_ = 0;
  std::uint64_t credit_ = 0;  // bytes acknowledged towards the next additive increase
  std::uint64_t reduce_from_ =
      0;  // bytes that were in flight when this batch revealed a loss; 0: it revealed none
};

}  // namespace

std::unique_ptr<CongestionController> make_kcp_controller(const ControllerContext& context) {
  return std::make_unique<KcpController>(context.packet_size, context.tuning.resend);
}

}  // namespace kcptun
