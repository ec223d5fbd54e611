// A constant rate, whatever the path loses: for paths whose bandwidth is known and belongs to the tunnel.
#include <algorithm>
#include <memory>

#include "core/base/check.h"
#include "core/kcp/congestion.h"
#include "core/kcp/congestion_table.h"

namespace kcptun {
namespace {

// Packets that may be in flight before a round trip is known: the window that KCP assumes of its peer
// (docs/develop/protocol.md section 5). Lower: the first round trip carries less. Higher: the first burst
// overflows shallow queues.
constexpr std::uint64_t kStartWindow = 32;
// Round trips' worth of the rate that may be in flight. One is what the rate needs; the second is for what
// was lost and waits to be detected, and for late acknowledgements. Lower: the window limits the rate.
// Higher: more is sent into a path that has gone dark. tests/kcp/fixed_controller_test.cc.
constexpr double kWindowGain = 2;
// Weight of the newest sample in the smoothed round trip (RFC 6298 section 2.3). Higher: one late
// acknowledgement moves the window. Lower: the window of a path that has become longer is too small for
// longer.
constexpr int kSmoothing = 8;

/// Paces the segments at the rate limit. The limiter of the link counts whole UDP payloads, which are a
/// little more, so it holds the session to the same number. Losses change nothing; the window only bounds
/// what a dark path gets.
class FixedController final : public CongestionController {
 public:
  FixedController(std::uint64_t rate, std::uint64_t packet_size) : rate_(rate), packet_size_(packet_size) {}

  void on_acked(const AckedEvent& acked) override {
    if (!acked.rtt) return;
    rtt_ = rtt_.count() == 0 ? *acked.rtt : (rtt_ * (kSmoothing - 1) + *acked.rtt) / kSmoothing;
  }
  void on_path_changed() override { rtt_ = Duration(0); }
  void on_mtu_changed(std::uint64_t bytes) override { packet_size_ = bytes; }
  void on_rate_limit_changed(std::uint64_t rate) override {
    if (rate > 0) rate_ = rate;
  }
  std::uint64_t window() const override {
    const double needed = static_cast<double>(rate_) * static_cast<double>(rtt_.count()) * 1e-6 * kWindowGain;
    return std::max(static_cast<std::uint64_t>(needed), kStartWindow * packet_size_);
  }
  std::uint64_t pacing_rate() const override { return rate_; }
  PathEstimate estimate() const override { return {0, rtt_, window(), rate_}; }

 private:
  std::uint64_t rate_;  // bytes per second
  std::uint64_t packet_size_;
  Duration rtt_{0};  // smoothed; 0: no sample yet
};

}  // namespace

std::unique_ptr<CongestionController> make_fixed_controller(const ControllerContext& context) {
  KCPTUN_CHECK(context.tuning.rate > 0);
  return std::make_unique<FixedController>(context.tuning.rate, context.packet_size);
}

}  // namespace kcptun
