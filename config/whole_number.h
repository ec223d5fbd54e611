// Reads whole numbers.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace kcptun {

/// None if the text is anything but one number in range.
template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
  Number number{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace kcptun
