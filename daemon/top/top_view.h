// Turns statuses into the lines that `top` shows. Uses neither the terminal nor sockets.
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

/// Rates cover the time between the last two statuses. Accepts any text: it rejects what is not a status, and
/// strips what is not printable before it reaches the terminal.
class TopView {
 public:
  enum class Style : std::uint8_t {
    kPlain,
    kTerminal
  };  // kTerminal: bold, dim and colours by ANSI sequences
  struct Size {
    std::size_t columns = 80;
    std::size_t rows = 24;
  };

  /// Takes a body of /status.json. A status that is not newer than the last one changes nothing.
  Result<bool> handle_status(const std::string& text);
  /// Returns at most `size.rows` lines of at most `size.columns` characters, each ended by a line feed. A
  /// narrow frame omits the less important columns of its tables, a short frame omits the rows at the bottom.
  /// The last row is the legend.
  std::string frame(const Size& size, Style style) const;

  static constexpr std::size_t kHistory = 60;  // seconds of the traffic graph, at most
  /// Loss fractions at which the colour changes. Parity repairs loss below the first; from the second on,
  /// users notice it.
  static constexpr double kNoticeLoss = 0.01, kAlarmLoss = 0.05;

 private:
  struct Session {
    nlohmann::json now;
    std::string tunnel;
    std::optional<double> out, in;            // bytes per second
    std::optional<double> loss_out, loss_in;  // fraction of the segments sent, and of the peer's packets
    std::deque<double> traffic;               // both directions together
  };
  using Lines = std::vector<ScreenLine>;

  void take(const nlohmann::json& status);
  void measure(Session& session, const nlohmann::json& now, const nlohmann::json* before) const;
  Lines lines(std::size_t columns) const;
  void add_head(Lines& lines) const;
  void add_peers(Lines& lines, std::size_t columns) const;
  void add_servers(Lines& lines, std::size_t columns) const;
  void add_forwards(Lines& lines, std::size_t columns) const;
  void add_sessions(Lines& lines, std::size_t columns) const;
  std::vector<TableCell> session_row(const Session& one, std::size_t graph_columns,
                                     std::size_t peer_columns) const;
  void add_streams(Lines& lines, std::size_t columns) const;
  bool several() const { return status_["tunnels"].size() > 1; }

  nlohmann::json status_;
  nlohmann::json before_;
  double seconds_ = 0;              // between the last two statuses
  std::vector<std::string> order_;  // keys of sessions_, most active first
  std::map<std::string, Session> sessions_;
};

}  // namespace kcptun
