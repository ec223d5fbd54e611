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

namespace kcptun {

/// Rates are of the time between the last two statuses. Takes any text: what is no status of ours is an
/// error, and what is in it reaches the terminal only as printable characters.
class TopView {
 public:
  enum class Style : std::uint8_t { kPlain, kTerminal };  // kTerminal: bold and dim, by ANSI sequences
  struct Size {
    std::size_t columns = 80;
    std::size_t rows = 24;
  };

  /// A body of /status.json. One that is no younger than the last changes nothing.
  Result<bool> handle_status(const std::string& text);
  /// At most `size.rows` lines of at most `size.columns` characters, each ended by a line feed; what does not
  /// fit is left out, on the right and at the bottom.
  std::string frame(const Size& size, Style style) const;

  static constexpr std::size_t kHistory = 24;  // seconds of the graph of goodput

 private:
  struct Session {
    nlohmann::json now;
    std::string tunnel;
    std::optional<double> sent, received;  // bytes per second
    std::optional<double> loss;            // share of the segments that left
    std::deque<double> goodput;            // both ways together
  };
  struct Line {
    std::string text;
    bool head = false;
  };

  void take(const nlohmann::json& status);
  std::vector<Line> lines() const;
  void add_servers(std::vector<Line>& lines) const;
  void add_sessions(std::vector<Line>& lines) const;
  void add_streams(std::vector<Line>& lines) const;
  static void add_table(std::vector<Line>& lines, const std::vector<std::vector<std::string>>& rows, std::size_t left);

  nlohmann::json status_;
  double pending_duplicates_ = 0;  // between the last two statuses
  nlohmann::json before_;
  std::vector<std::string> transmit_number_;
  std::map<std::string, Session> sessions_;
};

}  // namespace kcptun
