#include "core/kcp/congestion.h"

#include <algorithm>
#include <limits>

namespace kcptun {
namespace {

class NoCongestionControl final : public CongestionController {
 public:
  void handle_acked(std::uint32_t, std::uint32_t) override {}
  void handle_overtaken(std::uint32_t) override {}
  void handle_timed_out() override {}
  void handle_spurious() override {}
  std::uint32_t window() const override { return std::numeric_limits<std::int32_t>::max(); }
};

class ClassicCongestionControl final : public CongestionController {
 public:
  explicit ClassicCongestionControl(std::uint32_t resend) : resend_(resend) {}

  void handle_acked(std::uint32_t segments, std::uint32_t peer_window) override {
    for (; segments > 0 && window_ < peer_window; --segments) {
      if (window_ < threshold_) {
        ++window_;  // slow start: one for each acknowledged
      } else if (++credit_ >= window_) {
        credit_ = 0;  // congestion avoidance: one for each window acknowledged
        ++window_;
      }
    }
  }
  void handle_overtaken(std::uint32_t in_flight) override {
    remember();
    threshold_ = std::max(in_flight / 2, kSmallestThreshold);
    window_ = threshold_ + resend_;
    credit_ = 0;
  }
  void handle_timed_out() override {
    remember();
    threshold_ = std::max(window_ / 2, kSmallestThreshold);
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

  static constexpr std::uint32_t kSmallestThreshold = 2;
  std::uint32_t resend_;
  std::uint32_t window_ = 1;
  std::uint32_t threshold_ = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t window_before_ = 1;  // the latest reduction
  std::uint32_t threshold_before_ = kSmallestThreshold;
  std::uint32_t credit_ = 0;  // segments acknowledged towards the next additive increase
};

}  // namespace

std::unique_ptr<CongestionController> make_congestion_controller(const KcpTuning& tuning) {
  if (tuning.no_congestion_control) return std::make_unique<NoCongestionControl>();
  return std::make_unique<ClassicCongestionControl>(tuning.resend);
}

}  // namespace kcptun
