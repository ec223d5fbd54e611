// Paths and flows that several simulated tests share. The paths are those of tests/lab/rows.py.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/support/sim_pair.h"

namespace kcptun::test {

inline constexpr double kMbit = 125000;  // bytes per second

struct PathPlan {
  int rtt_ms = 50;
  double mbit = 100;
  double loss = 0;
  double burst_begin = 0, burst_end = 1;
};

/// fast3, FEC 10/3 configured, no compression. Windows of `segments`; 0: windows that follow the path.
inline SimSettings settings_on(const PathPlan& plan, std::uint32_t segments) {
  SimSettings s;
  s.client.kcp.tuning = kModePresets[3].tuning;
  s.client.smux.buffers_follow_window = true;
  s.client.compress = false;
  if (segments > 0) s.client.kcp.send_window = s.client.kcp.receive_window = segments;
  if (segments == 0) s.client.kcp.max_send_window = s.client.kcp.max_receive_window = kMaxFollowingWindow;
  s.server = s.client;
  if (segments == 0) s.server.kcp.send_window = s.server.kcp.receive_window = 1024;
  for (SimPath* path : {&s.to_server, &s.to_client}) {
    path->delay = milliseconds(plan.rtt_ms) / 2;
    path->loss = plan.loss;
    path->burst_begin = plan.burst_begin;
    path->burst_end = plan.burst_end;
    path->rate = static_cast<std::uint64_t>(plan.mbit * kMbit);
    path->queue = 512 * 1024;
    path->header = 28;  // IPv4 and UDP
  }
  return s;
}

/// When the flows begin.
inline const TimePoint kBegin{seconds(1)};

/// `count` messages of `size` bytes, one every `gap`.
inline FlowPlan messages(std::size_t size, Duration gap, std::size_t count) {
  FlowPlan plan;
  plan.request = size * count;
  plan.message_size = size;
  plan.message_gap = gap;
  plan.opens_at = kBegin;
  return plan;
}

/// The same, each returned by the server at once.
inline FlowPlan echoed_messages(std::size_t size, Duration gap, std::size_t count) {
  FlowPlan plan = messages(size, gap, count);
  plan.answer = plan.request;
  plan.echoes = true;
  return plan;
}

}  // namespace kcptun::test
