#include "config/suggest.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace kcptun {
namespace {

// A longer name is no typing error, and would take quadratic time.
constexpr std::size_t kMaxCompared = 40;

bool same_letter(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (same_letter(a[i], b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string_view nearest_name(std::string_view name, const std::vector<std::string_view>& known) {
  if (name.empty() || name.size() > kMaxCompared) return {};
  std::string_view best;
  // A name with three or more wrong letters is taken for another word.
  std::size_t best_distance = std::min<std::size_t>(2, (name.size() - 1) / 2) + 1;
  for (const auto candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace kcptun
