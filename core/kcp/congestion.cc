#include "core/kcp/congestion.h"

#include <algorithm>
#include <limits>

#include "core/kcp/bbr_controller.h"

namespace kcptun {
namespace {

class NoCongestionControl final : public CongestionController {
 public:
  void handle_batch(const AckedBatch&) override {}
  void on_packet_threshold_loss(std::uint32_t) override {}
  void on_retransmission_timeout() override {}
  void handle_spurious() override {}
};

class ClassicCongestionControl final : public CongestionController {
 public:
  explicit ClassicCongestionControl(std::uint32_t resend) : resend_(resend) {}

  void handle_batch(const AckedBatch& batch) override {
    for (std::uint32_t segments = batch.segments; segments > 0 && window_ < batch.peer_window; --segments) {
      if (window_ < threshold_) {
        ++window_;  // slow start: one for each acknowledged
      } else if (++credit_ >= window_) {
        credit_ = 0;  // congestion avoidance: one for each window acknowledged
        ++window_;
      }
    }
  }
  void on_packet_threshold_loss(std::uint32_t in_flight) override {
    remember();
    threshold_ = std::max(in_flight / 2, kMinThreshold);
    window_ = threshold_ + resend_;
    credit_ = 0;
  }
  void on_retransmission_timeout() override {
    remember();
    threshold_ = std::max(window_ / 2, kMinThreshold);
    window_ = 1;
    credit_ = 0;
  }
  void handle_spurious() override {
    window_ = std::max(window_, window_before_);
    threshold_ = std::max(threshold_, threshold_before_);
  }
  std::uint32_t window() const override { return window_; }

 private:
  void remember() {
    window_before_ = window_;
    threshold_before_ = threshold_;
  }

  static constexpr std::uint32_t kMinThreshold = 2;
  std::uint32_t resend_;
  std::uint32_t window_ = 1;
  std::uint32_t threshold_ = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t window_before_ = 1;  // the latest reduction
  std::uint32_t threshold_before_ = kMinThreshold;
  std::uint32_t credit_ = 0;  // segments acknowledged towards the next additive increase
};

}  // namespace

std::unique_ptr<CongestionController> make_congestion_controller(const KcpTuning& tuning,
                                                                 std::uint32_t segment_size,
                                                                 std::uint32_t phase) {
  if (tuning.congestion == Congestion::kOff) return std::make_unique<NoCongestionControl>();
  if (!tuning.no_congestion_control) return std::make_unique<ClassicCongestionControl>(tuning.resend);
  if (tuning.congestion == Congestion::kModel) return std::make_unique<BbrController>(segment_size, phase);
  return std::make_unique<NoCongestionControl>();
}

}  // namespace kcptun
