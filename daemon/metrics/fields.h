// The one table of what is known of a session, and that of what is known of a tunnel: names, units and help
// of /status.json and /metrics alike.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "daemon/metrics/snapshot.h"

namespace kcptun {

enum class FieldUnit : std::uint8_t { kNone, kSeconds, kBytes, kBytesPerSecond, kSegments, kPackets, kRatio };
enum class FieldKind : std::uint8_t { kGauge, kCounter };

/// A number, or none while it is not known. Counters are exact up to 2^53, as JSON's readers are.
template <typename Snapshot>
struct StatusField {
  std::string_view name;  // with the unit behind it
  FieldUnit unit;
  FieldKind kind;
  std::string_view help;
  std::optional<double> (*value)(const Snapshot&);
};

std::span<const StatusField<SessionSnapshot>> session_fields();
std::span<const StatusField<TunnelSnapshot>> tunnel_fields();
/// Of one of several servers.
std::span<const StatusField<ServerSnapshot>> server_fields();

/// "round_trip_seconds", "streams".
std::string json_name(std::string_view name, FieldUnit unit);
/// "kcptun_session_round_trip_seconds", "kcptun_session_lost_segments_total"
/// (prometheus.io/docs/practices/naming).
std::string metric_name(std::string_view prefix, std::string_view name, FieldUnit unit, FieldKind kind);

}  // namespace kcptun
