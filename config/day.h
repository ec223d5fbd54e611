// Days of the calendar as text, YYYY-MM-DD.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace kcptun {

/// None if it is no day of the calendar.
std::optional<std::chrono::sys_days> parse_day(std::string_view text);
std::string to_text(std::chrono::sys_days day);

}  // namespace kcptun
