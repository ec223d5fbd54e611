#include "daemon/top/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "config/settings.h"

namespace kcptun {
namespace {

std::string scaled(Figure value, std::string_view gap, std::string_view unit) {
  if (!value) return "-";
  double x = *value;
  std::size_t i = 0;
  constexpr std::string_view kPrefixes = " kMGTP";
  for (; x >= 1000 && i + 1 < kPrefixes.size(); ++i) x /= 1000;
  const int digits = i == 0 || x >= 100 ? 0 : x >= 10 ? 1 : 2;
  return fmt::format("{:.{}f}{}{}{}", x, digits, gap, i ? std::string(1, kPrefixes[i]) : "", unit);
}

std::string percent(Figure value) {
  if (!value) return "-";
  return fmt::format("{:.{}f}", 100 * *value, *value < 0.0995 ? 1 : 0);
}

}  // namespace

Figure figure(const nlohmann::json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_number()) return std::nullopt;
  return it->get<double>();
}

std::string text_of(const nlohmann::json& object, const char* name, std::size_t limit) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? escaped(it->get<std::string>(), limit) : "-";
}

std::string as_bytes(Figure value) { return scaled(value, " ", "B"); }
std::string as_bits(Figure bytes) { return scaled(bytes ? Figure(8 * *bytes) : bytes, "", ""); }
std::string as_rate(Figure bytes) { return scaled(bytes ? Figure(8 * *bytes) : bytes, " ", "bit/s"); }
std::string as_count(Figure value) { return value ? fmt::format("{:.0f}", *value) : "-"; }
std::string as_share(Figure value) { return value ? fmt::format("{:.1f} %", 100 * *value) : "-"; }
std::string as_time(Figure value) {
  if (!value) return "-";
  if (*value < 0.001) return fmt::format("{:.0f} us", *value * 1e6);
  return *value < 1 ? fmt::format("{:.1f} ms", *value * 1e3) : fmt::format("{:.1f} s", *value);
}
std::string as_age(double age) {
  constexpr double kLongest = 1e15;  // fits the integer type
  const auto total = static_cast<std::uint64_t>(std::clamp(age, 0.0, kLongest));
  if (total >= 86400) return fmt::format("{} d {} h", total / 86400, total / 3600 % 24);
  if (total >= 3600) return fmt::format("{} h {} min", total / 3600, total / 60 % 60);
  return total >= 60 ? fmt::format("{} min {} s", total / 60, total % 60) : fmt::format("{} s", total);
}
std::string as_loss(Figure out, Figure in) {
  return out || in ? percent(out) + '/' + percent(in) + '%' : "-";
}

std::string as_graph(const std::deque<double>& values, std::size_t columns) {
  constexpr std::string_view kLevels = "_.-=+*#";
  const std::size_t shown = std::min(values.size(), columns);
  const auto first = values.end() - static_cast<std::ptrdiff_t>(shown);
  const double most = shown == 0 ? 0 : *std::max_element(first, values.end());
  std::string out(columns - shown, ' ');
  for (auto it = first; it != values.end(); ++it) {
    // Values come from the peer and can be of any size; infinity divided by infinity is NaN.
    const double share = most > 0 && std::isfinite(most) ? std::clamp(*it / most, 0.0, 1.0) : 0;
    out += kLevels[static_cast<std::size_t>(std::lround(share * static_cast<double>(kLevels.size() - 1)))];
  }
  return out;
}

std::string shortened(std::string text, std::size_t columns) {
  constexpr std::string_view kGap = "..";
  if (text.size() <= columns || columns <= kGap.size()) return text.substr(0, columns);
  const std::size_t tail = (columns - kGap.size()) / 2;
  return text.substr(0, columns - kGap.size() - tail).append(kGap).append(text.substr(text.size() - tail));
}

}  // namespace kcptun
