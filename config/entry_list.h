// Reads a list option entry by entry.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>

#include "config/settings.h"

namespace kcptun {

/// Calls `add` with each entry of a list option, in order, until one is refused: `add` then returns why, as a
/// predicate. An empty list has no entries; an empty entry is refused.
inline std::optional<ValidationError> read_entries(
    const Settings& settings, OptionId id,
    const std::function<std::optional<std::string>(const std::string& entry)>& add) {
  const std::string& text = settings.text(id);
  if (text.empty()) return std::nullopt;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string entry = text.substr(begin, end - begin);
    begin = end + 1;
    if (entry.empty()) return ValidationError{id, "has an entry that is empty", text};
    if (const auto refusal = add(entry)) return ValidationError{id, *refusal, entry};
  }
  return std::nullopt;
}

}  // namespace kcptun
