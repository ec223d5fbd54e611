#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "daemon/status/history.h"

namespace kcptun::status_history_test {
namespace {

using nlohmann::json;

ProcessSnapshot at(double time, std::size_t sessions = 1) {
  const auto n = static_cast<std::uint64_t>(time);
  ProcessSnapshot snapshot;
  snapshot.started = 100;
  snapshot.time = time;
  TunnelSnapshot& tunnel = snapshot.tunnels.emplace_back();
  tunnel.name = "default";
  tunnel.sessions = sessions;
  tunnel.traffic = {1000 * n, 2000 * n};
  for (std::size_t i = 0; i < sessions; ++i) {
    SessionSnapshot& one = tunnel.open_sessions.emplace_back();
    one.conv = static_cast<std::uint32_t>(i);
    one.remote = "192.0.2.1:29900";
    one.traffic = {(1000 + i) * n, 2000 * n};
    one.round_trip = 0.0425;
    one.segments_sent = 100 * n;
    one.segments_lost = 7 * n;
    one.segments_found_again = 2 * n;
    one.packets_received = 90 * n;
    one.packets_missing = 10.0 * static_cast<double>(n);
    one.fec_recovered = 3 * n;
    one.fec_wasted = 4 * n;
  }
  return snapshot;
}

json history_of(const StatusHistory& history) { return json::parse(history.render_json()); }

TEST_CASE("a point has rates and shares of the time since the point before", "[status]") {
  StatusHistory history;
  history.handle_snapshot(at(1000));
  CHECK(history_of(history)["total"].empty());
  history.handle_snapshot(at(1005));
  const json all = history_of(history);
  CHECK(all["step_seconds"] == 5.0);
  CHECK(all["fields"].size() == all["total"][0].size());
  CHECK(all["total"][0] == json::array({1005.0, 1000, 2000, nullptr, nullptr, nullptr, 0, 0}));
  const json& one = all["sessions"][0];
  CHECK(one["conv"] == "00000000");
  CHECK(one["remote"] == "192.0.2.1:29900");
  CHECK(one["points"][0] == json::array({1005.0, 1000, 2000, 0.0425, 0.05, 0.1, 3.0, 4.0}));
}

TEST_CASE("snapshots that come too soon make no point, and late timers cost none", "[status]") {
  StatusHistory history;
  history.handle_snapshot(at(1000));
  for (const double time : {1001.0, 1002.0, 1003.0}) history.handle_snapshot(at(time));
  CHECK(history_of(history)["total"].empty());
  CHECK_FALSE(history.is_due(1003.5));
  CHECK(history.is_due(1003.8));
  history.handle_snapshot(at(1004));
  history.handle_snapshot(at(1012));
  CHECK(history_of(history)["total"].size() == 2);
}

TEST_CASE("ten minutes are kept and no more, of the sessions that moved most", "[status]") {
  StatusHistory history;
  for (std::size_t i = 0; i < StatusHistory::kPoints + 1; ++i)
    history.handle_snapshot(
        at(1000 + StatusHistory::kStep * static_cast<double>(i), StatusHistory::kMaxSessions));
  CHECK(history_of(history)["total"].size() == StatusHistory::kPoints);
  history.handle_snapshot(at(5000, StatusHistory::kMaxSessions + 1));
  const json all = history_of(history);
  CHECK(all["total"].size() == StatusHistory::kPoints);
  CHECK(all["sessions"].size() == StatusHistory::kMaxSessions);
  CHECK(all["sessions"][0]["conv"] == "00000001");  // 0 moved least
  CHECK(all["sessions"][0]["points"].size() == StatusHistory::kPoints);
}

TEST_CASE("a session that is gone takes its points along", "[status]") {
  StatusHistory history;
  history.handle_snapshot(at(1000, 2));
  history.handle_snapshot(at(1005, 2));
  history.handle_snapshot(at(1010, 1));
  CHECK(history_of(history)["sessions"].size() == 1);
  history.handle_snapshot(at(1015, 2));
  CHECK(history_of(history)["sessions"][1]["points"].empty());
}

TEST_CASE("a clock that is set back, and counters that are, harm nothing", "[status]") {
  StatusHistory history;
  history.handle_snapshot(at(1000));
  history.handle_snapshot(at(500));
  history.handle_snapshot(at(505));
  const json all = history_of(history);
  CHECK(all["total"].size() == 1);
  CHECK(all["total"][0][1] == 1000);
}

TEST_CASE("what is not known is null", "[status]") {
  ProcessSnapshot first = at(1000), second = at(1005);
  for (ProcessSnapshot* one : {&first, &second}) {
    one->tunnels[0].open_sessions[0].packets_missing.reset();
    one->tunnels[0].open_sessions[0].segments_sent = 0;
    one->tunnels[0].open_sessions[0].round_trip.reset();
  }
  StatusHistory history;
  history.handle_snapshot(first);
  history.handle_snapshot(second);
  const json point = history_of(history)["sessions"][0]["points"][0];
  for (const int field : {3, 4, 5}) CHECK(point[static_cast<std::size_t>(field)].is_null());
}

}  // namespace
}  // namespace kcptun::status_history_test
