// Formats the fields of a status for a terminal.
#pragma once

#include <cstddef>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace kcptun {

using Figure = std::optional<double>;  // nothing: unknown

Figure figure(const nlohmann::json& object, const char* name);
/// The text of a field, printable and cut to `limit` characters; "-" if the field has no text.
std::string text_of(const nlohmann::json& object, const char* name, std::size_t limit = 64);

std::string as_bytes(Figure value);  // "3.00 MB"
std::string as_bits(Figure bytes);   // bytes per second as bits per second: "24.0M"
std::string as_rate(Figure bytes);   // bytes per second: "24.0 Mbit/s"
std::string as_count(Figure value);  // "17"
std::string as_share(Figure value);  // "1.5 %"
std::string as_time(Figure value);   // from seconds: "42.5 ms"
std::string as_age(double age);      // from seconds: "1 h 2 min"
/// Returns "0.0/2.1%", or "-" if neither value is known.
std::string as_loss(Figure out, Figure in);
/// One graph row of the last `columns` values, the latest at the right. It is ASCII, which every terminal can
/// show.
std::string as_graph(const std::deque<double>& values, std::size_t columns);
/// Shortens `text` to `columns` characters by removing its middle.
std::string shortened(std::string text, std::size_t columns);

}  // namespace kcptun
