// Keeps the last ten minutes of each session and of their sum, for graphs.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "daemon/metrics/snapshot.h"

namespace kcptun {

/// Takes snapshots and keeps one point per kStep seconds. Bounds: kPoints points for the sum and for each of
/// kMaxSessions sessions, about 180 KiB. The points of a session are removed when it ends.
class StatusHistory {
 public:
  /// Seconds between two points. A shorter step wakes all engines more often even if nobody watches.
  static constexpr double kStep = 5;
  /// Ten minutes. docs/observability.md and the page's time axis state the same span.
  static constexpr std::size_t kPoints = 120;
  /// The sessions with the most traffic are kept. The page draws graphs of fewer.
  static constexpr std::size_t kMaxSessions = 16;

  /// Changes nothing if the last point is younger than kStep less a quarter, which allows for timers that
  /// fire late.
  void handle_snapshot(const ProcessSnapshot& snapshot);
  /// True if a snapshot at this time would add a point.
  bool is_due(double time) const { return !before_ || time - before_->time >= kStep * 3 / 4; }

  /// Renders {"step_seconds", "fields", "total", "sessions"}. A point is an array in the order of `fields`,
  /// with null for unknown values. Ends with a newline.
  std::string render_json() const;

 private:
  struct Point {
    double time = 0;         // seconds since 1970
    double out = 0, in = 0;  // bytes per second
    std::optional<double> round_trip{}, loss_out{}, loss_in{};
    double repaired = 0, wasted = 0;  // packets per second
  };
  using Points = std::deque<Point>;
  struct Key {
    std::string tunnel;
    std::uint32_t conv;
    std::string remote;
    auto operator<=>(const Key&) const = default;
  };
  struct Track {
    SessionSnapshot last;
    Points points;
  };
  struct Before {
    double time = 0, started = 0;
    Traffic traffic;
  };

  static Point measure(const SessionSnapshot& now, const SessionSnapshot& before, double elapsed);
  static void append(Points& points, Point point);
  void add_total(const Traffic& traffic, double time);
  void add_sessions(const ProcessSnapshot& snapshot);

  std::optional<Before> before_;
  Points total_;
  std::map<Key, Track> sessions_;
};

/// The fraction lost of what was sent between two moments; nothing if nothing was sent or a number is
/// unknown.
std::optional<double> lost_share(std::optional<double> lost, std::optional<double> sent);

}  // namespace kcptun
