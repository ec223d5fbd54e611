#include "daemon/status/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "config/options.h"
#include "daemon/metrics/fields.h"

namespace kcptun {
namespace {

using Json = nlohmann::ordered_json;

// --- JSON ---

// Whole numbers are written without a decimal point, so that counters stay integers.
Json number(std::optional<double> value) {
  if (!value) return nullptr;
  if (*value >= 0 && *value < 0x1p53 && *value == std::floor(*value))
    return static_cast<std::uint64_t>(*value);
  return *value;
}

template <typename Snapshot>
void add_fields(Json& to, std::span<const StatusField<Snapshot>> fields, const Snapshot& snapshot) {
  for (const auto& field : fields) to[json_name(field.name, field.unit)] = number(field.value(snapshot));
}

void add_peer(Json& to, const PeerSnapshot& peer) {
  to["state"] = peer_state_name(peer.state);
  to["hint"] = peer.hint.empty() ? Json(nullptr) : Json(peer.hint);
}

Json to_json(const SessionSnapshot& session) {
  Json json{
      {"conv", fmt::format("{:08x}", session.conv)}, {"remote", session.remote}, {"loop", session.loop}};
  if (!session.user.empty()) json["user"] = session.user;
  add_peer(json, session.peer);
  add_fields(json, session_fields(), session);
  Json& streams = json["open_streams"] = Json::array();
  for (const StreamSnapshot& stream : session.open_streams)
    streams.push_back({{"sid", stream.sid},
                       {"sent_bytes", stream.traffic.sent},
                       {"received_bytes", stream.traffic.received},
                       {"waiting_bytes", stream.waiting_bytes}});
  json["streams_left_out"] = session.streams_left_out();
  return json;
}

// Rows that only some tunnels have: servers, forwards, users.
template <typename Row>
struct RowKind {
  std::string_view label;   // in JSON and metrics, whose names begin with it
  std::string_view plural;  // the array in JSON
  std::vector<Row> TunnelSnapshot::*rows;
  std::string Row::*name;
  std::span<const StatusField<Row>> fields;
};
RowKind<ServerSnapshot> server_rows() {
  return {"server", "servers", &TunnelSnapshot::servers, &ServerSnapshot::server, server_fields()};
}
RowKind<ForwardSnapshot> forward_rows() {
  return {"forward", "forwards", &TunnelSnapshot::forwards, &ForwardSnapshot::forward, forward_fields()};
}
RowKind<UserSnapshot> user_rows() {
  return {"user", "users", &TunnelSnapshot::users, &UserSnapshot::user, user_fields()};
}

template <typename Row>
void add_rows(Json& to, const TunnelSnapshot& tunnel, const RowKind<Row>& kind) {
  if ((tunnel.*kind.rows).empty()) return;
  Json& rows = to[std::string(kind.plural)] = Json::array();
  for (const Row& row : tunnel.*kind.rows) {
    Json one{{std::string(kind.label), row.*kind.name}};
    add_fields(one, kind.fields, row);
    rows.push_back(std::move(one));
  }
}

Json to_json(const TunnelSnapshot& tunnel) {
  Json json{{"name", tunnel.name}, {"local", tunnel.local}, {"remote", tunnel.remote}};
  add_peer(json, tunnel.peer);
  add_fields(json, tunnel_fields(), tunnel);
  add_rows(json, tunnel, server_rows());
  add_rows(json, tunnel, forward_rows());
  add_rows(json, tunnel, user_rows());
  Json& sessions = json["open_sessions"] = Json::array();
  for (const SessionSnapshot& session : tunnel.open_sessions) sessions.push_back(to_json(session));
  return json;
}

// --- metrics ---

std::string format_number(double value) {
  if (value >= 0 && value < 0x1p53 && value == std::floor(value))
    return fmt::format("{}", static_cast<std::uint64_t>(value));
  return fmt::format("{}", value);
}

void append_head(std::string& out, std::string_view name, FieldKind kind, std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                     kind == FieldKind::kCounter ? "counter" : "gauge");
}

void append_sample(std::string& out, std::string_view name, std::string_view labels, double value) {
  out.append(name);
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out.append(" ").append(format_number(value)).append("\n");
}

struct Labelled {
  std::string labels;
  const SessionSnapshot* session;
};

std::string tunnel_label(const TunnelSnapshot& tunnel) {
  return fmt::format("tunnel=\"{}\"", escape_label(tunnel.name));
}

void append_process(std::string& out, const ProcessSnapshot& snapshot) {
  append_head(out, "kcptun_build_info", FieldKind::kGauge, "1, with what this is as labels.");
  append_sample(out, "kcptun_build_info",
                fmt::format("program=\"{}\",version=\"{}\"", program_name(snapshot.role), KCPTUN_VERSION), 1);
  append_head(out, "process_start_time_seconds", FieldKind::kGauge,
              "Start of the process, in seconds since 1970.");
  append_sample(out, "process_start_time_seconds", "", snapshot.started);
  append_head(out, "process_cpu_seconds_total", FieldKind::kCounter, "CPU time of the process.");
  append_sample(out, "process_cpu_seconds_total", "", snapshot.cpu_seconds);
  append_head(out, "process_resident_memory_bytes", FieldKind::kGauge, "Resident memory of the process.");
  append_sample(out, "process_resident_memory_bytes", "", static_cast<double>(snapshot.resident_bytes));
  append_head(out, "kcptun_loop_cpu_seconds_total", FieldKind::kCounter,
              "CPU time of an event loop's thread.");
  for (const LoopSnapshot& loop : snapshot.loops)
    append_sample(out, "kcptun_loop_cpu_seconds_total", fmt::format("loop=\"{}\"", loop.index),
                  loop.cpu_seconds);
}

void append_tunnels(std::string& out, const ProcessSnapshot& snapshot) {
  for (const auto& field : tunnel_fields()) {
    const std::string name = metric_name("kcptun_tunnel_", field.name, field.unit, field.kind);
    append_head(out, name, field.kind, field.help);
    for (const TunnelSnapshot& tunnel : snapshot.tunnels)
      if (const auto value = field.value(tunnel)) append_sample(out, name, tunnel_label(tunnel), *value);
  }
}

template <typename Row>
void append_rows(std::string& out, const ProcessSnapshot& snapshot, const RowKind<Row>& kind) {
  const auto has_rows = [&kind](const TunnelSnapshot& tunnel) { return !(tunnel.*kind.rows).empty(); };
  if (std::ranges::none_of(snapshot.tunnels, has_rows)) return;
  const std::string prefix = fmt::format("kcptun_{}_", kind.label);
  for (const auto& field : kind.fields) {
    const std::string name = metric_name(prefix, field.name, field.unit, field.kind);
    append_head(out, name, field.kind, field.help);
    for (const TunnelSnapshot& tunnel : snapshot.tunnels)
      for (const Row& row : tunnel.*kind.rows)
        if (const auto value = field.value(row))
          append_sample(
              out, name,
              fmt::format("{},{}=\"{}\"", tunnel_label(tunnel), kind.label, escape_label(row.*kind.name)),
              *value);
  }
}

void append_sessions(std::string& out, const ProcessSnapshot& snapshot) {
  std::vector<Labelled> sessions;
  std::set<std::string>
      seen;  // a peer may use one conv and port on two of our ports; duplicate samples are invalid
  for (const TunnelSnapshot& tunnel : snapshot.tunnels) {
    for (const SessionSnapshot& session : tunnel.open_sessions) {
      std::string labels = fmt::format("{},conv=\"{:08x}\",remote=\"{}\"", tunnel_label(tunnel), session.conv,
                                       escape_label(session.remote));
      if (seen.insert(labels).second) sessions.push_back({std::move(labels), &session});
    }
  }
  for (const auto& field : session_fields()) {
    const std::string name = metric_name("kcptun_session_", field.name, field.unit, field.kind);
    append_head(out, name, field.kind, field.help);
    for (const Labelled& one : sessions)
      if (const auto value = field.value(*one.session)) append_sample(out, name, one.labels, *value);
  }
}

}  // namespace

std::string render_status_json(const ProcessSnapshot& snapshot) {
  Json json{{"program", program_name(snapshot.role)},
            {"version", KCPTUN_VERSION},
            {"time", snapshot.time},
            {"started", snapshot.started},
            {"cpu_seconds", snapshot.cpu_seconds},
            {"resident_bytes", snapshot.resident_bytes}};
  Json& loops = json["loops"] = Json::array();
  for (const LoopSnapshot& loop : snapshot.loops)
    loops.push_back({{"index", loop.index}, {"cpu_seconds", loop.cpu_seconds}});
  Json& tunnels = json["tunnels"] = Json::array();
  for (const TunnelSnapshot& tunnel : snapshot.tunnels) tunnels.push_back(to_json(tunnel));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string render_failed_peers(const ProcessSnapshot& snapshot) {
  std::string out;
  for (const TunnelSnapshot& tunnel : snapshot.tunnels) {
    if (tunnel.peer.state == PeerState::kConnected) continue;
    out.append(tunnel.name).append(": ").append(peer_text(tunnel.peer, snapshot.time));
    if (!tunnel.peer.hint.empty()) out.append("; ").append(tunnel.peer.hint);
    out += '\n';
  }
  return out;
}

std::string render_metrics(const ProcessSnapshot& snapshot) {
  std::string out;
  append_process(out, snapshot);
  append_tunnels(out, snapshot);
  append_rows(out, snapshot, server_rows());
  append_rows(out, snapshot, forward_rows());
  append_rows(out, snapshot, user_rows());
  append_sessions(out, snapshot);
  return out;
}

std::string escape_label(std::string_view value) {
  // nlohmann's writer validates UTF-8. Its escapes of control bytes are then undone, except for the three
  // that the format requires.
  const std::string clean =
      nlohmann::json::parse(
          nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
          .get<std::string>();
  std::string out;
  for (const char c : clean) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace kcptun
