// The table of congestion controllers: one row for each word that --cc takes. Config takes the words, their
// help and their checks from here; Kcp takes its controller. A new controller is one file and one row
// (docs/develop/first-change.md).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/settings.h"

namespace kcptun {

class CongestionController;

/// What a controller is made from.
struct ControllerContext {
  const KcpTuning& tuning;        // valid during the call only
  std::uint64_t packet_size = 0;  // bytes of a full packet of segments
  std::uint32_t phase = 0;        // any number; sessions that begin together with different ones probe apart
};

using MakeController = std::unique_ptr<CongestionController>(const ControllerContext&);

/// When the send window may grow with the path, if the user left it alone: a controller must limit the bytes
/// in flight, or the window would fill the path's queue.
enum class WindowGrowth : std::uint8_t { kNever, kWithNc1, kAlways };

/// Whether the controller needs a rate limit, from which it takes its rate.
enum class RateLimitUse : std::uint8_t { kOptional, kRequired };

struct CongestionRow {
  std::string_view name;  // the word after --cc
  std::string_view help;  // a verb phrase that completes "NAME ..."
  MakeController* make;
  WindowGrowth growth;
  RateLimitUse rate_limit;

  bool window_grows(bool nc) const {
    return growth == WindowGrowth::kAlways || (growth == WindowGrowth::kWithNc1 && nc);
  }
};

std::span<const CongestionRow> congestion_table();
/// nullptr if no row has that name.
const CongestionRow* find_congestion(std::string_view name);
/// REQUIRES: a row has the name `tuning.congestion`.
std::unique_ptr<CongestionController> make_congestion_controller(const KcpTuning& tuning,
                                                                 std::uint64_t packet_size,
                                                                 std::uint32_t phase);

}  // namespace kcptun
