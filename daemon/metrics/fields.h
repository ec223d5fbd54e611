// The tables of a session's and a tunnel's fields: names, units and help texts of both /status.json and
// /metrics.
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

/// A number; none while it is unknown. Counters are exact up to 2^53, the limit of JSON readers.
template <typename Snapshot>
struct StatusField {
  std::string_view name;  // without the unit, which is appended
  FieldUnit unit;
  FieldKind kind;
  std::string_view help;
  std::optional<double> (*value)(const Snapshot&);
};

std::span<const StatusField<SessionSnapshot>> session_fields();
std::span<const StatusField<TunnelSnapshot>> tunnel_fields();
/// A field of one server of a client with several.
std::span<const StatusField<ServerSnapshot>> server_fields();
/// A field of one forward of a client.
std::span<const StatusField<ForwardSnapshot>> forward_fields();

/// A field of one user of a server.
std::span<const StatusField<UserSnapshot>> user_fields();

/// "round_trip_seconds", "streams".
std::string json_name(std::string_view name, FieldUnit unit);
/// "kcptun_session_round_trip_seconds", "kcptun_session_lost_segments_total"
/// (prometheus.io/docs/practices/naming).
std::string metric_name(std::string_view prefix, std::string_view name, FieldUnit unit, FieldKind kind);

}  // namespace kcptun
