// Lines of text with colours, and tables that fit a width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kcptun {

enum class Tone : std::uint8_t { kPlain, kBold, kDim, kGood, kNotice, kAlarm };

/// A stretch of characters of a line that has a tone of its own.
struct ToneMark {
  std::size_t from = 0, to = 0;
  Tone tone = Tone::kPlain;
};

struct ScreenLine {
  std::string text;
  Tone tone = Tone::kPlain;
  std::vector<ToneMark> marks{};  // in order, not overlapping

  /// The first `columns` characters, with ANSI sequences for the tones.
  std::string coloured(std::size_t columns) const;
};

struct TableCell {
  std::string text;
  Tone tone = Tone::kPlain;
};

struct TableColumn {
  std::string head;
  bool to_the_left = false;  // cells begin in line; else they end in line
  int rank = 0;  // 0: always there; of the others those with the largest go first where room is short
};

/// The columns that fit `width`, in order, with their cells; each as wide as its widest cell.
/// REQUIRES: each row has a cell for each column.
std::vector<ScreenLine> fit_table(const std::vector<TableColumn>& columns,
                                  const std::vector<std::vector<TableCell>>& rows, std::size_t width);

/// Words in lines of at most `width` characters; at most `max_lines`, of which the last ends in "..." if
/// there is more.
std::vector<std::string> wrapped(const std::string& text, std::size_t width, std::size_t max_lines);

}  // namespace kcptun
