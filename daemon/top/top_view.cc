#include "daemon/top/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "daemon/metrics/peer_state.h"
#include "daemon/top/figures.h"

namespace kcptun {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMinGraph = 10;  // characters; a narrower graph is not shown
// A graph of this width takes precedence over less important columns.
constexpr std::size_t kGoodGraph = 24;
constexpr std::size_t kWideScreen = 120;  // from this width on, the longest addresses are shown in full
constexpr std::size_t kNarrowPeer = 21,
                      kWidePeer = 47;  // fits "255.255.255.255:65535", and an IPv6 address with a port
constexpr std::size_t kHintLines = 3;
constexpr std::string_view kLegend =
    "OUT, IN: bit/s of applications; LOSS: out/in; TRAFFIC: both ways, a second each";
constexpr std::string_view kKeys = "q quits  ";

double sum(const Json& status, const char* name) {
  double total = 0;
  for (const Json& tunnel : status.at("tunnels")) total += figure(tunnel, name).value_or(0);
  return total;
}

Figure grown(const Json& now, const Json* before, const char* name) {
  if (!before || !figure(now, name)) return std::nullopt;
  return std::max(0.0, *figure(now, name) - figure(*before, name).value_or(0));
}

Figure divided(Figure share, Figure whole) {
  if (!share || !whole || *whole <= 0) return std::nullopt;
  return std::clamp(*share / *whole, 0.0, 1.0);
}

Tone tone_of_loss(Figure out, Figure in) {
  const double loss = std::max(out.value_or(0), in.value_or(0));
  if (loss >= TopView::kAlarmLoss) return Tone::kAlarm;
  return loss >= TopView::kNoticeLoss ? Tone::kNotice : Tone::kPlain;
}

bool is_failed(const Json& one) {
  const std::string state = text_of(one, "state");
  return state == peer_state_name(PeerState::kUnanswered) || state == peer_state_name(PeerState::kRefused);
}

// Returns "no answer since 14:03:12" for a failed peer, else the name of its state; "-" if the status has no
// states.
std::string state_of(const Json& one, double time) {
  constexpr double kLatest = 1e11;  // upper bound on seconds since 1970, within the calendar's range
  PeerSnapshot peer{.since = figure(one, "unanswered_since_seconds")};
  if (peer.since && !(*peer.since > 0 && *peer.since < kLatest)) peer.since.reset();
  const std::string name = text_of(one, "state", 16);
  peer.state = name == peer_state_name(PeerState::kRefused) ? PeerState::kRefused : PeerState::kUnanswered;
  return is_failed(one) ? peer_text(peer, std::clamp(time, 0.0, kLatest)) : name;
}

Tone tone_of_state(const Json& one) {
  if (is_failed(one)) return Tone::kAlarm;
  return text_of(one, "state") == peer_state_name(PeerState::kConnected) ? Tone::kGood : Tone::kPlain;
}

bool is_status(const Json& status) {
  if (status.is_discarded() || !status.is_object() || !status.contains("tunnels") ||
      !status["tunnels"].is_array())
    return false;
  return std::ranges::all_of(status["tunnels"], [](const Json& tunnel) {
    return tunnel.is_object() && tunnel.contains("open_sessions") && tunnel["open_sessions"].is_array() &&
           std::ranges::all_of(tunnel["open_sessions"],
                               [](const Json& session) { return session.is_object(); });
  });
}

// The columns of rank 0 to 2 fit in 80 columns. The graph takes the remaining width.
std::vector<TableColumn> session_columns(bool several) {
  return {{"TUNNEL", true, several ? 1 : 99},
          {"PEER", true, 0},
          {"CONV", true, 6},
          {"STATE", true, 5},
          {"STREAMS", false, 2},
          {"OUT", false, 0},
          {"IN", false, 0},
          {"RTT", false, 1},
          {"LOSS", false, 1},
          {"TOTAL OUT", false, 4},
          {"TOTAL IN", false, 4},
          {"OVERHEAD", false, 7},
          {"REPAIRED", false, 7},
          {"WASTED", false, 8},
          {"AGAIN", false, 8},
          {"COPIES", false, 9},
          {"RTO", false, 9},
          {"FLIGHT", false, 9},
          {"QUEUE", false, 9},
          {"TRAFFIC", true, 3}};
}

Figure overhead_of(const Json& now) {
  const Figure parity = figure(now, "fec_parity_sent_packets"), all = figure(now, "sent_packets");
  if (!parity || !all || *all <= *parity) return std::nullopt;
  return *parity / (*all - *parity);
}

void add_table(std::vector<ScreenLine>& lines, std::vector<ScreenLine> table) {
  lines.push_back({});
  std::ranges::move(table, std::back_inserter(lines));
}

}  // namespace

Result<bool> TopView::handle_status(const std::string& body) {
  const Json status = Json::parse(body, nullptr, false);
  if (!is_status(status)) return Error{"the answer is no status of kcptun-uv"};
  const double time = figure(status, "time").value_or(0);
  if (!status_.is_null() && figure(status, "started") != figure(status_, "started")) {
    status_ = nullptr;  // the status is of another process
    sessions_.clear();
  }
  if (!status_.is_null() && time <= figure(status_, "time").value_or(0)) return false;
  take(status);
  return true;
}

void TopView::take(const Json& status) {
  before_ = std::move(status_);
  seconds_ = before_.is_null() ? 0 : figure(status, "time").value_or(0) - figure(before_, "time").value_or(0);
  order_.clear();
  std::map<std::string, Session> gone = std::exchange(sessions_, {});
  for (const Json& tunnel : status["tunnels"]) {
    for (const Json& now : tunnel["open_sessions"]) {
      const std::string key =
          text_of(tunnel, "name") + ' ' + text_of(now, "conv") + ' ' + text_of(now, "remote");
      if (!sessions_.contains(key)) order_.push_back(key);
      Session& session = sessions_[key];
      const auto old = gone.find(key);
      if (old != gone.end()) session.traffic = std::move(old->second.traffic);
      session.tunnel = text_of(tunnel, "name");
      measure(session, now, old == gone.end() ? nullptr : &old->second.now);
      session.now = now;
      if (old != gone.end()) gone.erase(old);
    }
  }
  std::ranges::stable_sort(order_, std::ranges::greater(), [this](const std::string& key) {
    const Session& one = sessions_.at(key);
    return one.out.value_or(0) + one.in.value_or(0);
  });
  status_ = status;
}

void TopView::measure(Session& session, const Json& now, const Json* before) const {
  if (seconds_ <= 0) before = nullptr;
  const auto rate = [&](const char* name) -> Figure {
    const Figure more = grown(now, before, name);
    return more ? Figure(*more / seconds_) : more;
  };
  session.out = rate("sent_bytes");
  session.in = rate("received_bytes");
  Figure lost = grown(now, before, "lost_segments");
  if (lost) *lost -= grown(now, before, "found_again_segments").value_or(0);
  session.loss_out = divided(lost, grown(now, before, "sent_segments"));
  const Figure missing = grown(now, before, "missing_packets");
  const Figure arrived = grown(now, before, "received_packets");
  session.loss_in = divided(missing, missing && arrived ? Figure(*missing + *arrived) : Figure());
  if (session.out) session.traffic.push_back(*session.out + session.in.value_or(0));
  if (session.traffic.size() > kHistory) session.traffic.pop_front();
}

TopView::Lines TopView::lines(std::size_t columns) const {
  Lines lines;
  add_head(lines);
  add_peers(lines, columns);
  add_servers(lines, columns);
  add_forwards(lines, columns);
  add_sessions(lines, columns);
  add_streams(lines, columns);
  return lines;
}

void TopView::add_head(Lines& lines) const {
  const auto rate = [this](const char* name) -> Figure {
    if (before_.is_null() || seconds_ <= 0) return std::nullopt;
    return std::max(0.0, sum(status_, name) - sum(before_, name)) / seconds_;
  };
  const Figure cpu = before_.is_null() || seconds_ <= 0 ? Figure() : grown(status_, &before_, "cpu_seconds");
  const double up = figure(status_, "time").value_or(0) - figure(status_, "started").value_or(0);
  lines.push_back(
      {fmt::format("{} {}  up {}", text_of(status_, "program"), text_of(status_, "version"), as_age(up)),
       Tone::kBold});
  lines.push_back({fmt::format("out {} ({})  in {} ({})", as_rate(rate("sent_bytes")),
                               as_bytes(sum(status_, "sent_bytes")), as_rate(rate("received_bytes")),
                               as_bytes(sum(status_, "received_bytes")))});
  lines.push_back(
      {fmt::format("sessions {:.0f}  streams {:.0f}  cpu {} of a core  memory {}", sum(status_, "sessions"),
                   sum(status_, "streams"), as_share(cpu ? Figure(*cpu / seconds_) : cpu),
                   as_bytes(figure(status_, "resident_bytes")))});
  if (const double requests = sum(status_, "requests"); requests > 0)
    lines.push_back(
        {fmt::format("requests {:.0f}  denied {:.0f}", requests, sum(status_, "denied_requests"))});
}

// The state of each tunnel, with a hint if its peer does not answer.
void TopView::add_peers(Lines& lines, std::size_t columns) const {
  const double time = figure(status_, "time").value_or(0);
  for (const Json& tunnel : status_["tunnels"]) {
    const std::string state = state_of(tunnel, time);
    ScreenLine& line = lines.emplace_back();
    line.text = fmt::format("{}  {}{} to {}", state, several() ? text_of(tunnel, "name") + "  " : "",
                            text_of(tunnel, "local"), text_of(tunnel, "remote"));
    line.marks.push_back({0, state.size(), tone_of_state(tunnel)});
    constexpr std::size_t kMaxHint = 400;
    if (const auto hint = tunnel.find("hint"); hint == tunnel.end() || !hint->is_string()) continue;
    for (std::string& text : wrapped(text_of(tunnel, "hint", kMaxHint), columns, kHintLines))
      lines.push_back({std::move(text)});
  }
}

// The servers of clients that have several.
void TopView::add_servers(Lines& lines, std::size_t columns) const {
  std::vector<std::vector<TableCell>> rows;
  for (const Json& tunnel : status_["tunnels"]) {
    const auto servers = tunnel.find("servers");
    if (servers == tunnel.end() || !servers->is_array()) continue;
    for (const Json& server : *servers) {
      if (!server.is_object()) continue;
      const bool healthy = figure(server, "healthy") == 1;
      const char* state = figure(server, "chosen") == 1 ? "in use" : healthy ? "answers" : "does not answer";
      rows.push_back({{text_of(tunnel, "name")},
                      {text_of(server, "server")},
                      {state, healthy ? Tone::kPlain : Tone::kAlarm},
                      {as_time(figure(server, "round_trip_seconds"))}});
    }
  }
  std::vector<TableColumn> heads{
      {"TUNNEL", true, 1}, {"SERVER", true, 0}, {"STATE", true, 0}, {"RTT", false, 0}};
  if (!several()) {
    heads.erase(heads.begin());
    for (auto& row : rows) row.erase(row.begin());
  }
  if (!rows.empty()) add_table(lines, fit_table(heads, rows, columns));
}

// Of clients, the forwards that have been used and the reverse forwards. Others are in the line of their
// tunnel.
void TopView::add_forwards(Lines& lines, std::size_t columns) const {
  std::vector<std::vector<TableCell>> rows;
  for (const Json& tunnel : status_["tunnels"]) {
    const auto forwards = tunnel.find("forwards");
    if (forwards == tunnel.end() || !forwards->is_array()) continue;
    for (const Json& forward : *forwards) {
      if (!forward.is_object()) continue;
      const Figure listening = figure(forward, "listening");
      const double refused =
          figure(forward, "refused").value_or(0) + figure(forward, "refused_flows").value_or(0);
      const double used = figure(forward, "connections").value_or(0) + figure(forward, "flows").value_or(0);
      if (!listening && used + refused == 0) continue;
      const char* state = !listening ? "" : *listening == 1 ? "listens" : "does not listen";
      rows.push_back({{text_of(forward, "forward")},
                      {state, listening == 0 ? Tone::kAlarm : Tone::kPlain},
                      {as_count(used)},
                      {as_count(refused), refused > 0 ? Tone::kAlarm : Tone::kPlain},
                      {as_bytes(figure(forward, "sent_bytes"))},
                      {as_bytes(figure(forward, "received_bytes"))}});
    }
  }
  const std::vector<TableColumn> heads{{"FORWARD", true, 0},  {"STATE", true, 1}, {"USED", false, 0},
                                       {"REFUSED", false, 0}, {"SENT", false, 1}, {"RECEIVED", false, 1}};
  if (!rows.empty()) add_table(lines, fit_table(heads, rows, columns));
}

std::vector<TableCell> TopView::session_row(const Session& one, std::size_t graph_columns,
                                            std::size_t peer_columns) const {
  const auto count = [&one](const char* name) { return TableCell{as_count(figure(one.now, name))}; };
  const auto bytes = [&one](const char* name) { return TableCell{as_bytes(figure(one.now, name))}; };
  const auto time = [&one](const char* name) { return TableCell{as_time(figure(one.now, name))}; };
  const bool failed = is_failed(one.now);
  const bool saturated = !failed && figure(one.now, "saturated") == 1;
  const std::string state = saturated ? "saturated" : text_of(one.now, "state", 16);
  return {{one.tunnel},
          {shortened(text_of(one.now, "remote"), peer_columns), failed ? Tone::kAlarm : Tone::kPlain},
          {text_of(one.now, "conv")},
          {state, tone_of_state(one.now)},
          count("streams"),
          {as_bits(one.out)},
          {as_bits(one.in)},
          time("round_trip_seconds"),
          {as_loss(one.loss_out, one.loss_in), tone_of_loss(one.loss_out, one.loss_in)},
          bytes("sent_bytes"),
          bytes("received_bytes"),
          {as_share(overhead_of(one.now))},
          count("fec_recovered_packets"),
          count("fec_wasted_packets"),
          count("retransmitted_segments"),
          count("copied_segments"),
          time("retransmission_timeout_seconds"),
          count("in_flight_segments"),
          count("send_queue_segments"),
          failed ? TableCell{state, Tone::kAlarm} : TableCell{as_graph(one.traffic, graph_columns)}};
}

void TopView::add_sessions(Lines& lines, std::size_t columns) const {
  std::vector<TableColumn> heads = session_columns(several());
  const std::size_t peer_columns = columns < kWideScreen ? kNarrowPeer : kWidePeer;
  const auto table = [&](std::size_t graph_columns) {
    std::vector<std::vector<TableCell>> rows;
    for (const std::string& key : order_) {
      rows.push_back(session_row(sessions_.at(key), graph_columns, peer_columns));
      if (!several()) rows.back().erase(rows.back().begin());
    }
    return fit_table(heads, rows, columns);
  };
  if (!several()) heads.erase(heads.begin());
  std::size_t graph = kGoodGraph;
  std::vector<ScreenLine> rows = table(graph);
  if (rows.front().text.find("  TRAFFIC") == std::string::npos) rows = table(graph = kMinGraph);
  const std::size_t used = rows.front().text.size();
  if (used < columns) rows = table(std::min(kHistory, graph + columns - used));
  add_table(lines, std::move(rows));
  if (order_.empty()) lines.push_back({"no session yet"});
  if (const double left = sum(status_, "sessions_left_out"); left > 0)
    lines.push_back({fmt::format("and {:.0f} more that moved less", left)});
}

void TopView::add_streams(Lines& lines, std::size_t columns) const {
  std::vector<std::vector<TableCell>> rows;
  for (const std::string& key : order_) {
    const Json& now = sessions_.at(key).now;
    const auto streams = now.find("open_streams");
    if (streams == now.end() || !streams->is_array()) continue;
    for (const Json& stream : *streams) {
      if (!stream.is_object()) continue;
      rows.push_back({{as_count(figure(stream, "sid"))},
                      {text_of(now, "conv")},
                      {as_bytes(figure(stream, "sent_bytes"))},
                      {as_bytes(figure(stream, "received_bytes"))},
                      {as_bytes(figure(stream, "waiting_bytes"))}});
    }
  }
  const std::vector<TableColumn> heads{
      {"STREAM", true, 0}, {"CONV", true, 1}, {"OUT", false, 0}, {"IN", false, 0}, {"WAITING", false, 2}};
  if (!rows.empty()) add_table(lines, fit_table(heads, rows, columns));
}

std::string TopView::frame(const Size& size, Style style) const {
  if (status_.is_null()) return {};
  constexpr std::size_t kMinRows = 8;  // a smaller frame has no row to spare for the legend
  Lines all = lines(size.columns);
  const bool explains = size.rows >= kMinRows;
  const std::size_t kept = explains ? size.rows - 1 : size.rows;
  if (all.size() > kept) all.resize(kept);
  const bool terminal = style == Style::kTerminal;
  if (explains) all.push_back({(terminal ? std::string(kKeys) : std::string()).append(kLegend), Tone::kDim});
  std::string out;
  for (const ScreenLine& line : all) {
    out += terminal ? line.coloured(size.columns) : line.text.substr(0, size.columns);
    out += '\n';
  }
  return out;
}

}  // namespace kcptun
