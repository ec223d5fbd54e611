#include "daemon/top/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "config/settings.h"

namespace kcptun {
namespace {

using Json = nlohmann::json;
using Number = std::optional<double>;

constexpr std::size_t kGap = 2;

Number number(const Json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_number()) return std::nullopt;
  return it->get<double>();
}
double sum(const Json& status, const char* name) {
  double total = 0;
  for (const Json& tunnel : status.at("tunnels")) total += number(tunnel, name).value_or(0);
  return total;
}
std::string text(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? printable(it->get<std::string>(), 64) : "-";
}

std::string scaled(Number value, std::string_view unit) {
  if (!value) return "-";
  double x = *value;
  std::size_t i = 0;
  constexpr std::string_view kPrefixes = " kMGTP";
  for (; x >= 1000 && i + 1 < kPrefixes.size(); ++i) x /= 1000;
  const int digits = i == 0 || x >= 100 ? 0 : x >= 10 ? 1 : 2;
  return fmt::format("{:.{}f} {}{}", x, digits, i ? std::string(1, kPrefixes[i]) : "", unit);
}
std::string as_bytes(Number value) { return scaled(value, "B"); }
std::string as_bits(Number value) { return scaled(value ? Number(8 * *value) : value, "bit/s"); }
std::string as_count(Number value) { return value ? fmt::format("{:.0f}", *value) : "-"; }
std::string as_share(Number value) { return value ? fmt::format("{:.1f} %", 100 * *value) : "-"; }
std::string as_time(Number value) {
  if (!value) return "-";
  if (*value < 0.001) return fmt::format("{:.0f} us", *value * 1e6);
  return *value < 1 ? fmt::format("{:.1f} ms", *value * 1e3) : fmt::format("{:.1f} s", *value);
}
std::string as_age(double s) {
  constexpr double kLongest = 1e15;  // what fits the integer
  const auto total = static_cast<std::uint64_t>(std::clamp(s, 0.0, kLongest));
  if (total >= 86400) return fmt::format("{} d {} h", total / 86400, total / 3600 % 24);
  if (total >= 3600) return fmt::format("{} h {} min", total / 3600, total / 60 % 60);
  return total >= 60 ? fmt::format("{} min {} s", total / 60, total % 60) : fmt::format("{} s", total);
}

Number rate(const Json& now, const Json* before, const char* name, double seconds) {
  if (!before || seconds <= 0) return std::nullopt;
  return std::max(0.0, number(now, name).value_or(0) - number(*before, name).value_or(0)) / seconds;
}

// One row of a graph in ASCII, so that it is right in every terminal.
std::string graph(const std::deque<double>& values) {
  constexpr std::string_view kLevels = "_.-=+*#";
  const double most = values.empty() ? 0 : *std::ranges::max_element(values);
  std::string out(TopView::kHistory - std::min(values.size(), TopView::kHistory), ' ');
  for (const double value : values) {
    // Numbers of any size come from the other end, and quotients of infinities are none.
    const double share = most > 0 && std::isfinite(most) ? std::clamp(value / most, 0.0, 1.0) : 0;
    out += kLevels[static_cast<std::size_t>(std::lround(share * static_cast<double>(kLevels.size() - 1)))];
  }
  return out;
}

using Row = std::vector<std::string>;

// Columns as wide as their widest cell; the first `left` of them begin at the left, the others end at the
// right.
std::vector<std::string> aligned(const std::vector<Row>& rows, std::size_t left) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::vector<std::string> lines;
  for (const Row& row : rows) {
    std::string& line = lines.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line.append(kGap, ' ');
      const std::string pad(widths[i] - row[i].size(), ' ');
      line += i < left ? row[i] + pad : pad + row[i];
    }
  }
  return lines;
}

}  // namespace

Result<bool> TopView::handle_status(const std::string& body) {
  const Json status = Json::parse(body, nullptr, false);
  if (status.is_discarded() || !status.is_object() || !status.contains("tunnels") ||
      !status["tunnels"].is_array())
    return Error{"the answer is no status of kcptun-uv"};
  for (const Json& tunnel : status["tunnels"]) {
    if (!tunnel.is_object() || !tunnel.contains("open_sessions") || !tunnel["open_sessions"].is_array())
      return Error{"the answer is no status of kcptun-uv"};
    for (const Json& session : tunnel["open_sessions"])
      if (!session.is_object()) return Error{"the answer is no status of kcptun-uv"};
  }
  const double time = number(status, "time").value_or(0);
  if (!status_.is_null() && number(status, "started") != number(status_, "started")) {
    status_ = nullptr;  // another process
    sessions_.clear();
  }
  if (!status_.is_null() && time <= number(status_, "time").value_or(0)) return false;
  take(status);
  return true;
}

void TopView::take(const Json& status) {
  before_ = std::move(status_);
  pending_duplicates_ = before_.is_null() ? 0 : number(status, "time").value_or(0) - number(before_, "time").value_or(0);
  transmit_number_.clear();
  std::map<std::string, Session> gone = std::move(sessions_);
  sessions_.clear();
  for (const Json& tunnel : status["tunnels"]) {
    for (const Json& now : tunnel["open_sessions"]) {
      const std::string key = text(tunnel, "name") + ' ' + text(now, "conv") + ' ' + text(now, "remote");
      if (!sessions_.contains(key)) transmit_number_.push_back(key);
      Session& session = sessions_[key];
      const auto old = gone.find(key);
      const Json* before = old == gone.end() ? nullptr : &old->second.now;
      if (before) session.goodput = std::move(old->second.goodput);
      session.tunnel = text(tunnel, "name");
      session.sent = rate(now, before, "sent_bytes", pending_duplicates_);
      session.received = rate(now, before, "received_bytes", pending_duplicates_);
      const Number left = rate(now, before, "sent_segments", pending_duplicates_);
      if (left)
        session.loss = *left > 0 ? std::min(1.0, *rate(now, before, "lost_segments", pending_duplicates_) / *left) : 0;
      if (session.sent) session.goodput.push_back(*session.sent + *session.received);
      if (session.goodput.size() > kHistory) session.goodput.pop_front();
      session.now = now;
      if (before) gone.erase(old);
    }
  }
  status_ = status;
}

std::vector<TopView::Line> TopView::lines() const {
  const Json& tunnels = status_["tunnels"];
  const auto all = [this](const char* name) -> Number {
    if (before_.is_null() || pending_duplicates_ <= 0) return std::nullopt;
    return std::max(0.0, sum(status_, name) - sum(before_, name)) / pending_duplicates_;
  };
  std::string title =
      fmt::format("{} {}  up {}", text(status_, "program"), text(status_, "version"),
                  as_age(number(status_, "time").value_or(0) - number(status_, "started").value_or(0)));
  if (tunnels.size() == 1)
    title += fmt::format("  {} to {}", text(tunnels[0], "local"), text(tunnels[0], "remote"));
  if (tunnels.size() > 1) title += fmt::format("  {} tunnels", tunnels.size());
  std::vector<Line> lines{{title, true}};
  lines.push_back({fmt::format("out {} ({})  in {} ({})", as_bits(all("sent_bytes")),
                               as_bytes(sum(status_, "sent_bytes")), as_bits(all("received_bytes")),
                               as_bytes(sum(status_, "received_bytes")))});
  const Number cpu = rate(status_, before_.is_null() ? nullptr : &before_, "cpu_seconds", pending_duplicates_);
  lines.push_back(
      {fmt::format("sessions {:.0f}  streams {:.0f}  cpu {} of a core  memory {}", sum(status_, "sessions"),
                   sum(status_, "streams"), as_share(cpu), as_bytes(number(status_, "resident_bytes")))});
  add_servers(lines);
  add_sessions(lines);
  add_streams(lines);
  return lines;
}

// Of clients with several servers.
void TopView::add_servers(std::vector<Line>& lines) const {
  std::vector<Row> rows{{"SERVER", "STATE", "RTT"}};
  const bool several = status_["tunnels"].size() > 1;
  if (several) rows[0].insert(rows[0].begin(), "TUNNEL");
  for (const Json& tunnel : status_["tunnels"]) {
    const auto servers = tunnel.find("servers");
    if (servers == tunnel.end() || !servers->is_array()) continue;
    for (const Json& server : *servers) {
      if (!server.is_object()) continue;
      const char* state = number(server, "chosen") == 1    ? "in use"
                          : number(server, "healthy") == 1 ? "answers"
                                                           : "does not answer";
      Row& row = rows.emplace_back();
      if (several) row.push_back(text(tunnel, "name"));
      row.insert(row.end(), {text(server, "server"), state, as_time(number(server, "round_trip_seconds"))});
    }
  }
  add_table(lines, rows, several ? 3 : 2);
}

void TopView::add_sessions(std::vector<Line>& lines) const {
  const bool several = status_["tunnels"].size() > 1;
  std::vector<Row> rows{{"PEER", "CONV", "STREAMS", "OUT", "IN", "RTT", "LOSS", "SENT", "RECEIVED", "RTO",
                         "AGAIN", "RECOVERED", "WASTED", "PARITY", "FLIGHT", "QUEUE", "GOODPUT"}};
  if (several) rows[0].insert(rows[0].begin(), "TUNNEL");
  for (const std::string& key : transmit_number_) {
    const Session& one = sessions_.at(key);
    const auto count = [&one](const char* name) { return as_count(number(one.now, name)); };
    Row& row = rows.emplace_back();
    if (several) row.push_back(one.tunnel);
    const Row rest{text(one.now, "remote"),
                   text(one.now, "conv"),
                   count("streams"),
                   as_bits(one.sent),
                   as_bits(one.received),
                   as_time(number(one.now, "round_trip_seconds")),
                   as_share(one.loss),
                   as_bytes(number(one.now, "sent_bytes")),
                   as_bytes(number(one.now, "received_bytes")),
                   as_time(number(one.now, "retransmission_timeout_seconds")),
                   count("retransmitted_segments"),
                   count("fec_recovered_packets"),
                   count("fec_wasted_packets"),
                   as_share(number(one.now, "fec_parity_ratio")),
                   count("in_flight_segments"),
                   count("send_queue_segments"),
                   graph(one.goodput)};
    row.insert(row.end(), rest.begin(), rest.end());
  }
  lines.push_back({});
  const std::size_t head = lines.size();
  for (std::string& line : aligned(rows, several ? 3 : 2))
    lines.push_back({std::move(line), lines.size() == head});
  if (transmit_number_.empty()) lines.push_back({"no session yet"});
  if (const double left = sum(status_, "sessions_left_out"); left > 0)
    lines.push_back({fmt::format("and {:.0f} more that moved less", left)});
}

void TopView::add_streams(std::vector<Line>& lines) const {
  std::vector<Row> rows{{"STREAM", "CONV", "SENT", "RECEIVED", "WAITING"}};
  for (const std::string& key : transmit_number_) {
    const Json& now = sessions_.at(key).now;
    const auto streams = now.find("open_streams");
    if (streams == now.end() || !streams->is_array()) continue;
    for (const Json& stream : *streams) {
      if (!stream.is_object()) continue;
      rows.push_back({as_count(number(stream, "sid")), text(now, "conv"),
                      as_bytes(number(stream, "sent_bytes")), as_bytes(number(stream, "received_bytes")),
                      as_bytes(number(stream, "waiting_bytes"))});
    }
  }
  add_table(lines, rows, 2);
}

// Nothing if it has a head only.
void TopView::add_table(std::vector<Line>& lines, const std::vector<Row>& rows, std::size_t left) {
  if (rows.size() == 1) return;
  lines.push_back({});
  const std::size_t head = lines.size();
  for (std::string& line : aligned(rows, left)) lines.push_back({std::move(line), lines.size() == head});
}

std::string TopView::frame(const Size& size, Style style) const {
  if (status_.is_null()) return {};
  std::string out;
  std::size_t rows = 0;
  for (const Line& line : lines()) {
    if (rows++ == size.rows) break;
    const std::string shown = line.text.substr(0, size.columns);
    out += line.head && style == Style::kTerminal ? "\x1b[1m" + shown + "\x1b[0m" : shown;
    out += '\n';
  }
  return out;
}

}  // namespace kcptun
