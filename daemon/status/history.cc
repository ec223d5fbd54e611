#include "daemon/status/history.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

namespace kcptun {
namespace {

using Json = nlohmann::ordered_json;

double grown(std::uint64_t now, std::uint64_t before) {
  return now > before ? static_cast<double>(now - before) : 0;
}

std::optional<double> grown(std::optional<double> now, std::optional<double> before) {
  if (!now) return std::nullopt;
  return std::max(0.0, *now - before.value_or(0));
}

double truly_lost(const SessionSnapshot& one) {
  return static_cast<double>(one.segments_lost) - static_cast<double>(one.segments_found_again);
}

// Three significant digits are enough for a graph and keep the response short.
Json rounded(std::optional<double> value) {
  if (!value || !std::isfinite(*value)) return nullptr;
  if (*value == 0) return 0;
  const double unit = std::pow(10.0, std::floor(std::log10(std::abs(*value))) - 2);
  const double result = std::round(*value / unit) * unit;
  if (result >= 1000) return static_cast<std::uint64_t>(result);
  return static_cast<double>(std::llround(result * 1e6)) / 1e6;
}

}  // namespace

std::optional<double> lost_share(std::optional<double> lost, std::optional<double> sent) {
  if (!lost || !sent || *sent <= 0) return std::nullopt;
  return std::clamp(*lost / *sent, 0.0, 1.0);
}

StatusHistory::Point StatusHistory::measure(const SessionSnapshot& now, const SessionSnapshot& before,
                                            double elapsed) {
  const std::optional<double> missing = grown(now.packets_missing, before.packets_missing);
  const double arrived = grown(now.packets_received, before.packets_received);
  Point point;
  point.out = grown(now.traffic.sent, before.traffic.sent) / elapsed;
  point.in = grown(now.traffic.received, before.traffic.received) / elapsed;
  point.round_trip = now.round_trip;
  point.loss_out =
      lost_share(truly_lost(now) - truly_lost(before), grown(now.segments_sent, before.segments_sent));
  point.loss_in = lost_share(missing, arrived + missing.value_or(0));
  point.repaired = grown(now.fec_recovered, before.fec_recovered) / elapsed;
  point.wasted = grown(now.fec_wasted, before.fec_wasted) / elapsed;
  return point;
}

void StatusHistory::append(Points& points, Point point) {
  points.push_back(std::move(point));
  if (points.size() > kPoints) points.pop_front();
}

void StatusHistory::handle_snapshot(const ProcessSnapshot& snapshot) {
  if (!is_due(snapshot.time) && snapshot.time >= before_->time) return;
  Traffic traffic;
  for (const TunnelSnapshot& tunnel : snapshot.tunnels) traffic.add(tunnel.traffic);
  add_total(traffic, snapshot.time);
  add_sessions(snapshot);
  before_ = {snapshot.time, snapshot.started, traffic};
}

// No point is added after the clock was set back.
void StatusHistory::add_total(const Traffic& traffic, double time) {
  if (!before_ || time <= before_->time) return;
  const double elapsed = time - before_->time;
  append(total_, {.time = time,
                  .out = grown(traffic.sent, before_->traffic.sent) / elapsed,
                  .in = grown(traffic.received, before_->traffic.received) / elapsed});
}

void StatusHistory::add_sessions(const ProcessSnapshot& snapshot) {
  std::vector<std::pair<Key, const SessionSnapshot*>> most;
  for (const TunnelSnapshot& tunnel : snapshot.tunnels)
    for (const SessionSnapshot& one : tunnel.open_sessions)
      most.push_back({{tunnel.name, one.conv, one.remote}, &one});
  std::ranges::stable_sort(most, std::ranges::greater(),
                           [](const auto& one) { return one.second->traffic.total(); });
  if (most.size() > kMaxSessions) most.erase(most.begin() + kMaxSessions, most.end());
  std::map<Key, Track> gone = std::exchange(sessions_, {});
  for (const auto& [key, now] : most) {
    Track& track = sessions_[key];
    if (const auto old = gone.find(key); old != gone.end()) {
      track = std::move(old->second);
      const double elapsed = snapshot.time - before_->time;
      if (elapsed > 0) append(track.points, measure(*now, track.last, elapsed));
      if (elapsed > 0) track.points.back().time = snapshot.time;
    }
    track.last = *now;
    track.last.open_streams.clear();
    track.last.peer.hint.clear();
  }
}

std::string StatusHistory::render_json() const {
  const auto points = [](const Points& all) {
    Json list = Json::array();
    for (const Point& p : all)
      list.push_back({std::round(p.time * 10) / 10, rounded(p.out), rounded(p.in), rounded(p.round_trip),
                      rounded(p.loss_out), rounded(p.loss_in), rounded(p.repaired), rounded(p.wasted)});
    return list;
  };
  Json json{{"step_seconds", kStep},
            {"fields",
             {"time", "out_bytes_per_second", "in_bytes_per_second", "round_trip_seconds", "loss_out_ratio",
              "loss_in_ratio", "repaired_packets_per_second", "wasted_packets_per_second"}},
            {"total", points(total_)}};
  Json& sessions = json["sessions"] = Json::array();
  for (const auto& [key, track] : sessions_) {
    char conv[9];
    std::snprintf(conv, sizeof conv, "%08x", key.conv);
    sessions.push_back(
        {{"tunnel", key.tunnel}, {"conv", conv}, {"remote", key.remote}, {"points", points(track.points)}});
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace kcptun
