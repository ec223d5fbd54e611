#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include "daemon/metrics/fields.h"
#include "daemon/status/page.h"
#include "daemon/status/render.h"

namespace kcptun::status_render_test {
namespace {

using nlohmann::json;

SessionSnapshot session(std::uint32_t conv, std::uint64_t moved) {
  SessionSnapshot one;
  one.conv = conv;
  one.remote = "192.0.2.1:29900";
  one.traffic = {moved, 7};
  one.segments_retransmitted = 3;
  one.streams = 2;
  one.open_streams.push_back({.sid = 5, .traffic = {1, 2}, .waiting_bytes = 4});
  return one;
}

ProcessSnapshot process(std::string name = "default") {
  ProcessSnapshot snapshot;
  snapshot.role = Role::kServer;
  snapshot.loops = {{0, 1.5}, {1, 0.25}};
  TunnelSnapshot& tunnel = snapshot.tunnels.emplace_back();
  tunnel.name = std::move(name);
  tunnel.local = ":29900";
  tunnel.remote = "127.0.0.1:8080";
  tunnel.traffic = {9007199254740991u, 11};
  tunnel.sessions = 1;
  tunnel.open_sessions.push_back(session(0xab, 12));
  tunnel.open_sessions[0].round_trip = 0.0425;
  return snapshot;
}

std::string value_of(const std::string& metrics, const std::string& sample) {
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(sample + " ")) return line.substr(sample.size() + 1);
  return "none";
}

TEST_CASE("status.json says what the snapshot has, null for what is not known", "[status]") {
  const json status = json::parse(render_status_json(process()));
  CHECK(status["program"] == "kcptun-server");
  CHECK(status["loops"][1]["cpu_seconds"] == 0.25);
  const json& tunnel = status["tunnels"][0];
  CHECK(tunnel["name"] == "default");
  CHECK(tunnel["sent_bytes"] == 9007199254740991u);
  const json& one = tunnel["open_sessions"][0];
  CHECK(one["conv"] == "000000ab");
  CHECK(one["sent_bytes"] == 12);
  CHECK(one["round_trip_seconds"] == 0.0425);
  CHECK(one["delivery_rate_bytes_per_second"].is_null());
  CHECK(one["open_streams"][0]["waiting_bytes"] == 4);
  CHECK(one["streams_left_out"] == 1);
}

TEST_CASE("states stand in status.json, and of tunnels without an answer there is a line each", "[status]") {
  ProcessSnapshot snapshot = process();
  snapshot.tunnels[0].peer = {.state = PeerState::kConnected};
  snapshot.tunnels[0].open_sessions[0].peer = {
      .state = PeerState::kUnanswered, .since = 1000, .hint = "look at key"};
  json tunnel = json::parse(render_status_json(snapshot))["tunnels"][0];
  CHECK(tunnel["state"] == "connected");
  CHECK(tunnel["hint"].is_null());
  CHECK(tunnel["connected"] == 1);
  CHECK(tunnel["unanswered_since_seconds"].is_null());
  CHECK(tunnel["open_sessions"][0]["state"] == "no answer");
  CHECK(tunnel["open_sessions"][0]["hint"] == "look at key");
  CHECK(tunnel["open_sessions"][0]["connected"] == 0);
  CHECK(tunnel["open_sessions"][0]["unanswered_since_seconds"] == 1000);
  CHECK(render_failed_peers(snapshot).empty());
  snapshot.tunnels.push_back(snapshot.tunnels[0]);
  snapshot.tunnels[1].name = "second";
  snapshot.tunnels[1].peer = {.state = PeerState::kConnecting, .hint = "no address"};
  CHECK(render_failed_peers(snapshot) == "second: connecting; no address\n");
}

TEST_CASE("every field has a name of its own, and is in both texts with the same number", "[status]") {
  const ProcessSnapshot snapshot = process();
  const json status = json::parse(render_status_json(snapshot));
  const std::string metrics = render_metrics(snapshot);
  std::set<std::string> names;
  for (const auto& field : session_fields()) {
    const std::string name = metric_name("kcptun_session_", field.name, field.unit, field.kind);
    CHECK(names.insert(name).second);
    const json& number = status["tunnels"][0]["open_sessions"][0].at(json_name(field.name, field.unit));
    const std::string sample = name + R"({tunnel="default",conv="000000ab",remote="192.0.2.1:29900"})";
    const std::string said = value_of(metrics, sample);
    if (number.is_null()) {
      CHECK(said == "none");
    } else {
      CHECK(json::parse(said) == number);
    }
  }
  for (const auto& field : tunnel_fields()) {
    const std::string name = metric_name("kcptun_tunnel_", field.name, field.unit, field.kind);
    CHECK(names.insert(name).second);
    const json& number = status["tunnels"][0].at(json_name(field.name, field.unit));
    const std::string said = value_of(metrics, name + R"({tunnel="default"})");
    if (number.is_null()) {
      CHECK(said == "none");
    } else {
      CHECK(json::parse(said) == number);
    }
  }
}

/// `name{label="value",...} number`, or without labels.
bool is_sample_of(std::string_view line, std::string_view name) {
  if (!line.starts_with(name)) return false;
  line.remove_prefix(name.size());
  if (line.starts_with('{')) {
    do {
      line.remove_prefix(1);
      const std::size_t label = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_");
      if (label == 0 || label == line.npos || line.substr(label, 2) != "=\"") return false;
      line.remove_prefix(label + 2);
      for (; !line.starts_with('"'); line.remove_prefix(line.front() == '\\' ? 2 : 1))
        if (line.size() < 2) return false;
      line.remove_prefix(1);
    } while (line.starts_with(','));
    if (!line.starts_with('}')) return false;
    line.remove_prefix(1);
  }
  return line.size() > 1 && line.front() == ' ' &&
         line.substr(1).find_first_not_of("0123456789.e+-") == line.npos;
}

TEST_CASE("metrics keep to the format: help and type before each family, sound names, counters end in _total",
          "[status]") {
  const std::string metrics = render_metrics(process());
  std::istringstream lines(metrics);
  std::string help, type, kind;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, what, name;
    if (line.starts_with("# HELP ")) {
      words >> hash >> what >> help;
    } else if (line.starts_with("# TYPE ")) {
      words >> hash >> what >> type >> kind;
      CHECK(type == help);
      CHECK((kind == "counter") == type.ends_with("_total"));
    } else {
      INFO(line);
      CHECK(is_sample_of(line, type));
    }
  }
  CHECK(metrics.back() == '\n');
}

TEST_CASE("names with quotes, line feeds and broken UTF-8 break neither text", "[status]") {
  CHECK(escape_label("a\\b\"c\nd") == "a\\\\b\\\"c\\nd");
  CHECK(escape_label("\xff") == "\xef\xbf\xbd");
  const ProcessSnapshot snapshot = process("x\"y\\z\n</script>\x80");
  CHECK(json::parse(render_status_json(snapshot))["tunnels"][0]["name"] == "x\"y\\z\n</script>\xef\xbf\xbd");
  CHECK(value_of(render_metrics(snapshot),
                 "kcptun_tunnel_sessions{tunnel=\"x\\\"y\\\\z\\n</script>\xef\xbf\xbd\"}") == "1");
}

TEST_CASE("two sessions that cannot be told apart are one sample", "[status]") {
  ProcessSnapshot snapshot = process();
  snapshot.tunnels[0].open_sessions.push_back(session(0xab, 1));
  const std::string metrics = render_metrics(snapshot);
  const std::string sample = "kcptun_session_streams{";
  const std::size_t first = metrics.find(sample);
  REQUIRE(first != std::string::npos);
  CHECK(metrics.find(sample, first + 1) == std::string::npos);
}

TEST_CASE("the sessions that moved most keep their rows, over all tunnels, and the rest is counted",
          "[status]") {
  for (const std::size_t count :
       {kMaxSessionRows - 1, kMaxSessionRows, kMaxSessionRows + 1, 3 * kMaxSessionRows}) {
    for (const std::uint64_t step : {0u, 1u}) {  // 0: all sessions moved the same number of bytes
      ProcessSnapshot snapshot;
      snapshot.tunnels.resize(2);
      for (std::size_t i = 0; i < count; ++i) {
        TunnelSnapshot& tunnel = snapshot.tunnels[i % 2];
        ++tunnel.sessions;
        tunnel.open_sessions.push_back(session(static_cast<std::uint32_t>(i), i * step));
      }
      snapshot.bound_rows();
      std::size_t kept = 0, left_out = 0;
      for (const TunnelSnapshot& tunnel : snapshot.tunnels) {
        kept += tunnel.open_sessions.size();
        left_out += tunnel.sessions_left_out();
        for (const SessionSnapshot& one : tunnel.open_sessions)
          if (step == 1) CHECK(one.conv + kMaxSessionRows >= count);
      }
      CHECK(kept == std::min(count, kMaxSessionRows));
      CHECK(kept + left_out == count);
    }
  }
}

TEST_CASE("the page takes nothing from outside and has one style and one script, which its policy names",
          "[status]") {
  const std::string page(page_html());
  CHECK(page.find("http://www.w3.org/2000/svg") != std::string::npos);
  std::string rest = page;
  for (const std::string own : {"http://www.w3.org/2000/svg"})
    for (std::size_t at; (at = rest.find(own)) != std::string::npos;) rest.erase(at, own.size());
  for (const char* outside :
       {"http:", "https:", "src=", "@import", "url(", "innerHTML", " style=", "onclick"})
    CHECK(rest.find(outside) == std::string::npos);
  const std::string policy = page_policy();
  CHECK(policy.starts_with("default-src 'none'; style-src 'sha256-"));
  CHECK(policy.find("unsafe") == std::string::npos);
  CHECK(policy.find("frame-ancestors 'none'") != std::string::npos);
}

}  // namespace
}  // namespace kcptun::status_render_test
