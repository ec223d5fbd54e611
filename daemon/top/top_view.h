// What `top` shows: statuses in, lines of text out. Knows no terminal and no socket.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "daemon/top/screen_table.h"

namespace kcptun {

/// Rates are of the time between the last two statuses. Takes any text: what is no status of ours is an
/// error, and what is in it reaches the terminal only as printable characters.
class TopView {
 public:
  enum class Style : std::uint8_t {
    kPlain,
    kTerminal
  };  // kTerminal: bold, dim and colours, by ANSI sequences
  struct Size {
    std::size_t columns = 80;
    std::size_t rows = 24;
  };

  /// A body of /status.json. One that is no younger than the last changes nothing.
  Result<bool> handle_status(const std::string& text);
  /// At most `size.rows` lines of at most `size.columns` characters, each ended by a line feed. Where columns
  /// are short the less important ones of a table are left out; where rows are, those at the bottom. The last
  /// row explains.
  std::string frame(const Size& size, Style style) const;

  static constexpr std::size_t kHistory = 60;  // seconds of the graph of traffic, at most
  /// Shares lost from which the colour changes: what parity makes up for without being noticed, and what is
  /// felt.
  static constexpr double kNoticeLoss = 0.01, kAlarmLoss = 0.05;

 private:
  struct Session {
    nlohmann::json now;
    std::string tunnel;
    std::optional<double> out, in;            // bytes per second
    std::optional<double> loss_out, loss_in;  // share of segments sent, of packets of the peer
    std::deque<double> traffic;               // both ways together
  };
  using Lines = std::vector<ScreenLine>;

  void take(const nlohmann::json& status);
  void measure(Session& session, const nlohmann::json& now, const nlohmann::json* before) const;
  Lines lines(std::size_t columns) const;
  void add_head(Lines& lines) const;
  void add_peers(Lines& lines, std::size_t columns) const;
  void add_servers(Lines& lines, std::size_t columns) const;
  void add_sessions(Lines& lines, std::size_t columns) const;
  std::vector<TableCell> session_row(const Session& one, std::size_t graph_columns,
                                     std::size_t peer_columns) const;
  void add_streams(Lines& lines, std::size_t columns) const;
  bool several() const { return status_["tunnels"].size() > 1; }

  nlohmann::json status_;
  nlohmann::json before_;
  double seconds_ = 0;              // between the last two statuses
  std::vector<std::string> order_;  // of sessions_: most active first
  std::map<std::string, Session> sessions_;
};

}  // namespace kcptun
