#include "core/kcp/congestion_table.h"

#include <algorithm>
#include <array>

#include "core/base/check.h"
#include "core/kcp/congestion.h"

namespace kcptun {

// Each is defined in the file of its controller.
MakeController make_bbr_controller;
MakeController make_fixed_controller;
MakeController make_kcp_controller;

namespace {

std::unique_ptr<CongestionController> make_none(const ControllerContext&) {
  return std::make_unique<CongestionController>();  // its defaults limit nothing
}

std::unique_ptr<CongestionController> make_kcp(const ControllerContext& context) {
  return context.tuning.no_congestion_control ? make_none(context) : make_kcp_controller(context);
}

std::unique_ptr<CongestionController> make_auto(const ControllerContext& context) {
  return context.tuning.no_congestion_control ? make_bbr_controller(context) : make_kcp_controller(context);
}

constexpr std::array kControllerRows{
    CongestionRow{"auto", "measures the path where nc is 1", make_auto, WindowGrowth::kWithNc1,
                  RateLimitUse::kOptional},
    CongestionRow{"kcp", "does as kcptun", make_kcp, WindowGrowth::kNever, RateLimitUse::kOptional},
    CongestionRow{"off", "does nothing", make_none, WindowGrowth::kNever, RateLimitUse::kOptional},
    CongestionRow{"fixed", "sends at ratelimit whatever is lost", make_fixed_controller,
                  WindowGrowth::kAlways, RateLimitUse::kRequired},
};

}  // namespace

std::span<const CongestionRow> congestion_table() { return kControllerRows; }

const CongestionRow* find_congestion(std::string_view name) {
  const auto row = std::ranges::find(kControllerRows, name, &CongestionRow::name);
  return row == kControllerRows.end() ? nullptr : &*row;
}

std::unique_ptr<CongestionController> make_congestion_controller(const KcpTuning& tuning,
                                                                 std::uint64_t packet_size,
                                                                 std::uint32_t phase) {
  const CongestionRow* const row = find_congestion(tuning.congestion.name);
  KCPTUN_CHECK(row != nullptr);
  return row->make({tuning, packet_size, phase});
}

}  // namespace kcptun
