#include "daemon/top/top_view.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>
#include <sstream>
#include <string>

#include "daemon/status/render.h"

namespace kcptun::top_view_test {
namespace {

using Style = TopView::Style;

ProcessSnapshot at(double time, std::uint64_t sent) {
  ProcessSnapshot snapshot;
  snapshot.started = 100;
  snapshot.time = time;
  TunnelSnapshot& tunnel = snapshot.tunnels.emplace_back();
  tunnel.name = "default";
  tunnel.local = ":12948";
  tunnel.remote = "server.example:29900";
  tunnel.sessions = tunnel.streams = 1;
  tunnel.traffic.sent = sent;
  SessionSnapshot& session = tunnel.open_sessions.emplace_back();
  tunnel.peer.state = session.peer.state = PeerState::kConnected;
  session.conv = 0xab;
  session.remote = "192.0.2.1:29900";
  session.traffic.sent = sent;
  session.streams = 1;
  session.round_trip = 0.0425;
  session.open_streams.push_back({.sid = 7, .traffic = {sent, 0}});
  return snapshot;
}

std::vector<std::string> lines_of(const std::string& frame) {
  std::vector<std::string> lines;
  std::istringstream in(frame);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST_CASE("a frame has totals, sessions and streams, with rates of the last second", "[top]") {
  TopView view;
  REQUIRE(view.handle_status(render_status_json(at(160, 1'000'000))));
  const std::string first = view.frame({200, 40}, Style::kPlain);
  CHECK(first.find("out - (1.00 MB)") != std::string::npos);  // no rate yet
  REQUIRE(view.handle_status(render_status_json(at(162, 3'000'000))).value());
  const std::string frame = view.frame({200, 40}, Style::kPlain);
  INFO(frame);
  CHECK(frame.find("kcptun-client " KCPTUN_VERSION "  up 1 min 2 s\n") == 0);
  CHECK(frame.find("connected  :12948 to server.example:29900\n") != std::string::npos);
  CHECK(frame.find("out 8.00 Mbit/s (3.00 MB)  in 0 bit/s (0 B)") != std::string::npos);
  CHECK(frame.find("sessions 1  streams 1") != std::string::npos);
  CHECK(frame.find("192.0.2.1:29900  000000ab  connected        1  8.00M   0  42.5 ms") != std::string::npos);
  CHECK(frame.find("7       000000ab  3.00 MB  0 B      0 B") != std::string::npos);
  CHECK_FALSE(view.handle_status(render_status_json(at(162, 4'000'000))).value());  // the same snapshot
  CHECK(view.frame({200, 40}, Style::kPlain) == frame);
}

TEST_CASE("of several servers a frame has each one's state", "[top]") {
  ProcessSnapshot snapshot = at(160, 1);
  snapshot.tunnels[0].servers = {{"a.example:29900", true, false, 0.0802},
                                 {"b.example:29900", true, true, 0.0305},
                                 {"c.example:3000-3100", false, false, std::nullopt}};
  TopView view;
  REQUIRE(view.handle_status(render_status_json(snapshot)));
  const std::string frame = view.frame({200, 40}, Style::kPlain);
  INFO(frame);
  CHECK(frame.find("SERVER               STATE                RTT\n"
                   "a.example:29900      answers          80.2 ms\n"
                   "b.example:29900      in use           30.5 ms\n"
                   "c.example:3000-3100  does not answer        -\n") != std::string::npos);
  const auto head = view.frame({200, 40}, Style::kTerminal).find("\x1b[1mPEER");
  CHECK(head != std::string::npos);
}

TEST_CASE("a frame fits its terminal, whatever that is", "[top]") {
  TopView view;
  REQUIRE(view.handle_status(render_status_json(at(160, 1))));
  REQUIRE(view.handle_status(render_status_json(at(161, 2))));
  for (std::size_t columns : {0u, 1u, 40u, 80u, 300u}) {
    for (std::size_t rows : {0u, 1u, 3u, 5u, 100u}) {
      const auto lines = lines_of(view.frame({columns, rows}, Style::kPlain));
      CHECK(lines.size() <= rows);
      for (const std::string& line : lines) CHECK(line.size() <= columns);
    }
  }
  CHECK(view.frame({80, 24}, Style::kTerminal).find("\x1b[1mkcptun-client") == 0);
}

TEST_CASE("80 columns have peer, streams, rates, round trip, loss and a graph, the most active session first",
          "[top]") {
  const auto status = [](double time, std::uint64_t lost) {
    ProcessSnapshot snapshot = at(time, 1'000'000);
    TunnelSnapshot& tunnel = snapshot.tunnels[0];
    tunnel.open_sessions.push_back(tunnel.open_sessions[0]);
    SessionSnapshot& active = tunnel.open_sessions[1];
    active.conv = 0xcd;
    active.remote = "198.51.100.200:29900";
    active.traffic.received = static_cast<std::uint64_t>(1e8 * (time - 159));
    active.segments_sent = static_cast<std::uint64_t>(1000 * (time - 159));
    active.segments_lost = lost + 5;
    active.segments_found_again = 5;
    active.packets_received = static_cast<std::uint64_t>(900 * (time - 159));
    active.packets_missing = 100.0 * (time - 159);
    return render_status_json(snapshot);
  };
  TopView view;
  REQUIRE(view.handle_status(status(160, 0)));
  REQUIRE(view.handle_status(status(161, 20)));
  const std::string frame = view.frame({80, 24}, Style::kPlain);
  INFO(frame);
  const auto lines = lines_of(frame);
  const auto head =
      std::ranges::find_if(lines, [](const std::string& line) { return line.starts_with("PEER"); });
  REQUIRE(head != lines.end());
  for (const char* name : {"STREAMS", "OUT", "IN", "RTT", "LOSS", "TRAFFIC"})
    CHECK(head->find(name) != std::string::npos);
  CHECK(head[1].starts_with("198.51.100.200:29900 "));
  CHECK(head[1].find("2.0/10%") != std::string::npos);
  CHECK(head[1].ends_with("#"));
  CHECK(head[2].starts_with("192.0.2.1:29900 "));
  CHECK(lines.back().starts_with("OUT, IN: bit/s"));
  for (const std::string& line : lines) CHECK(line.size() <= 80);
  const std::string terminal = view.frame({80, 24}, Style::kTerminal);
  CHECK(terminal.find("\x1b[31m2.0/10%\x1b[0m") != std::string::npos);  // a tenth is an alarm
  CHECK(terminal.find("\x1b[2mq quits") != std::string::npos);
  CHECK(view.frame({80, 7}, Style::kPlain).find("OUT, IN:") == std::string::npos);  // too few rows to explain
  CHECK(view.frame({80, 8}, Style::kPlain).find("OUT, IN:") != std::string::npos);
}

TEST_CASE("a server that does not answer is told of, with the hint in whole words", "[top]") {
  setenv("TZ", "UTC", 1);
  tzset();
  ProcessSnapshot snapshot = at(1'700'049'660, 1);
  std::string hint = "nothing at all comes from 192.0.2.1:29900:";
  for (int i = 0; i < 20; ++i) hint += " look at remoteaddr";
  snapshot.tunnels[0].peer = snapshot.tunnels[0].open_sessions[0].peer = {
      .state = PeerState::kUnanswered, .since = 1'700'049'600, .hint = hint};
  TopView view;
  REQUIRE(view.handle_status(render_status_json(snapshot)));
  const std::string frame = view.frame({80, 24}, Style::kPlain);
  INFO(frame);
  CHECK(frame.find("\nno answer since 12:00:00  :12948 to server.example:29900\n"
                   "nothing at all comes from 192.0.2.1:29900: look at remoteaddr look at remoteaddr\n") !=
        std::string::npos);
  CHECK(frame.find("...\n") != std::string::npos);
  CHECK(lines_of(frame).back().size() <= 80);
  CHECK(view.frame({80, 24}, Style::kTerminal).find("\x1b[31mno answer since 12:00:00\x1b[0m") !=
        std::string::npos);
}

TEST_CASE("words are wrapped at spaces, and long ones cut", "[top]") {
  CHECK(wrapped("", 10, 3).empty());
  CHECK(wrapped("one two", 7, 3) == std::vector<std::string>{"one two"});
  CHECK(wrapped("one two", 6, 3) == std::vector<std::string>{"one", "two"});
  CHECK(wrapped("abcdefgh", 3, 3) == std::vector<std::string>{"abc", "def", "gh"});
  CHECK(wrapped("a b c d e f", 3, 2) == std::vector<std::string>{"a b", "..."});
  CHECK(wrapped("abc", 0, 2).empty());
}

TEST_CASE("another process begins anew", "[top]") {
  TopView view;
  REQUIRE(view.handle_status(render_status_json(at(160, 1'000'000))));
  ProcessSnapshot restarted = at(150, 10);
  restarted.started = 149;
  REQUIRE(view.handle_status(render_status_json(restarted)).value());
  CHECK(view.frame({200, 40}, Style::kPlain).find("out - (10 B)") != std::string::npos);
}

TEST_CASE("what is no status is an error, and what is odd in one does no harm", "[top]") {
  TopView view;
  for (const char* text :
       {"", "[]", "{", "null", "7", "{}", R"({"tunnels": 1})", R"({"tunnels": [1]})",
        R"({"tunnels": [{"open_sessions": {}}]})", R"({"tunnels": [{"open_sessions": [3]}]})"}) {
    INFO(text);
    CHECK_FALSE(view.handle_status(text));
  }
  CHECK(view.frame({80, 24}, Style::kPlain).empty());
  const std::string whole = render_status_json(at(160, 1));
  for (std::size_t size = 0; size + 2 < whole.size(); ++size)
    CHECK_FALSE(view.handle_status(whole.substr(0, size)));
  REQUIRE(
      view.handle_status(R"({"time": "x", "program": "\u001b[2J", "tunnels": [{"sent_bytes": {}, "name": 7,
    "servers": [5, {}, {"server": "\u001b]0;y\u0007", "chosen": [], "healthy": "x"}],
    "open_sessions": [{"conv": [], "remote": "\u001b]0;x\u0007", "open_streams": [4, {"sid": "s"}]}]}]})"));
  const std::string frame = view.frame({200, 40}, Style::kPlain);
  CHECK(std::ranges::none_of(frame, [](char c) { return c == '\x1b' || c == '\x07'; }));
}

}  // namespace
}  // namespace kcptun::top_view_test
