// Coloured lines of text, and tables that fit a width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kcptun {

enum class Tone : std::uint8_t { kPlain, kBold, kDim, kGood, kNotice, kAlarm };

/// A range of characters with its own tone.
struct ToneMark {
  std::size_t from = 0, to = 0;
  Tone tone = Tone::kPlain;
};

struct ScreenLine {
  std::string text;
  Tone tone = Tone::kPlain;
  std::vector<ToneMark> marks{};  // ordered, not overlapping

  /// Returns the first `columns` characters with ANSI sequences for the tones.
  std::string coloured(std::size_t columns) const;
};

struct TableCell {
  std::string text;
  Tone tone = Tone::kPlain;
};

struct TableColumn {
  std::string head;
  bool to_the_left = false;  // true: left-aligned, false: right-aligned
  int rank = 0;  // 0: always shown; else columns of the highest rank are dropped first if the width is short
};

/// Lays out the columns that fit `width`, in order, each as wide as its widest cell. REQUIRES: each row has
/// one cell per column.
std::vector<ScreenLine> fit_table(const std::vector<TableColumn>& columns,
                                  const std::vector<std::vector<TableCell>>& rows, std::size_t width);

/// Wraps at words into lines of at most `width` characters. If the text needs more than `max_lines`, the last
/// line ends in "...".
std::vector<std::string> wrapped(const std::string& text, std::size_t width, std::size_t max_lines);

}  // namespace kcptun
