#include "daemon/top/screen_table.h"

#include <algorithm>
#include <string_view>

namespace kcptun {
namespace {

constexpr std::size_t kGap = 2;  // spaces between columns

// SGR parameters of ECMA-48: bold, dim, green, yellow, red. The palette colours follow the terminal's theme.
std::string_view sequence(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kBold:
      return "\x1b[1m";
    case Tone::kDim:
      return "\x1b[2m";
    case Tone::kGood:
      return "\x1b[32m";
    case Tone::kNotice:
      return "\x1b[33m";
    case Tone::kAlarm:
      return "\x1b[31m";
  }
  return "";
}

void append(std::string& out, std::string_view text, Tone tone) {
  if (text.empty()) return;
  const std::string_view on = sequence(tone);
  out.append(on).append(text);
  if (!on.empty()) out.append("\x1b[0m");
}

std::vector<std::size_t> widths_of(const std::vector<TableColumn>& columns,
                                   const std::vector<std::vector<TableCell>>& rows) {
  std::vector<std::size_t> widths;
  for (const TableColumn& column : columns) widths.push_back(column.head.size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].text.size());
  return widths;
}

std::vector<std::size_t> columns_that_fit(const std::vector<TableColumn>& columns,
                                          const std::vector<std::size_t>& widths, std::size_t width) {
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < columns.size(); ++i) kept.push_back(i);
  for (;;) {
    std::size_t total = kept.empty() ? 0 : (kept.size() - 1) * kGap;
    for (const std::size_t i : kept) total += widths[i];
    // The last column of the highest rank.
    const auto least = std::max_element(kept.rbegin(), kept.rend(), [&](std::size_t a, std::size_t b) {
      return columns[a].rank < columns[b].rank;
    });
    if (total <= width || least == kept.rend() || columns[*least].rank == 0) return kept;
    kept.erase(std::next(least).base());
  }
}

}  // namespace

std::string ScreenLine::coloured(std::size_t columns) const {
  const std::string_view shown = std::string_view(text).substr(0, columns);
  std::string out;
  std::size_t at = 0;
  for (const ToneMark& mark : marks) {
    const std::size_t from = std::min(mark.from, shown.size()), to = std::min(mark.to, shown.size());
    append(out, shown.substr(at, from - at), tone);
    append(out, shown.substr(from, to - from), mark.tone);
    at = to;
  }
  append(out, shown.substr(at), tone);
  return out;
}

std::vector<ScreenLine> fit_table(const std::vector<TableColumn>& columns,
                                  const std::vector<std::vector<TableCell>>& rows, std::size_t width) {
  const std::vector<std::size_t> widths = widths_of(columns, rows);
  const std::vector<std::size_t> kept = columns_that_fit(columns, widths, width);
  std::vector<ScreenLine> lines;
  const auto add = [&](ScreenLine& line, std::size_t i, const TableCell& cell) {
    if (!line.text.empty()) line.text.append(kGap, ' ');
    const std::string pad(widths[i] - cell.text.size(), ' ');
    const std::size_t from = line.text.size() + (columns[i].to_the_left ? 0 : pad.size());
    line.text += columns[i].to_the_left ? cell.text + pad : pad + cell.text;
    if (cell.tone != Tone::kPlain) line.marks.push_back({from, from + cell.text.size(), cell.tone});
  };
  ScreenLine& head = lines.emplace_back(ScreenLine{.text = {}, .tone = Tone::kBold});
  for (const std::size_t i : kept) add(head, i, {columns[i].head});
  for (const auto& row : rows) {
    ScreenLine& line = lines.emplace_back();
    for (const std::size_t i : kept) add(line, i, row[i]);
  }
  return lines;
}

std::vector<std::string> wrapped(const std::string& text, std::size_t width, std::size_t max_lines) {
  std::vector<std::string> lines;
  std::string rest = text;
  while (!rest.empty() && lines.size() < max_lines && width > 0) {
    std::size_t end = rest.size();
    if (end > width) {
      const std::size_t space = rest.rfind(' ', width);
      end = space == rest.npos || space == 0 ? width : space;
    }
    lines.push_back(rest.substr(0, end));
    rest.erase(0, std::min(rest.size(), end + (end < rest.size() && rest[end] == ' ' ? 1 : 0)));
  }
  constexpr std::string_view kMore = "...";
  if (!rest.empty() && !lines.empty() && width >= kMore.size())
    lines.back() = lines.back().substr(0, width - kMore.size()).append(kMore);
  return lines;
}

}  // namespace kcptun
