// Fields of a status as text for a terminal.
#pragma once

#include <cstddef>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace kcptun {

using Figure = std::optional<double>;  // none: not known

Figure figure(const nlohmann::json& object, const char* name);
/// Printable, at most `limit` characters; "-" if there is no such text.
std::string text_of(const nlohmann::json& object, const char* name, std::size_t limit = 64);

std::string as_bytes(Figure value);  // "3.00 MB"
std::string as_bits(Figure bytes);   // "24.0M": bits per second of bytes per second
std::string as_rate(Figure bytes);   // "24.0 Mbit/s"
std::string as_count(Figure value);  // "17"
std::string as_share(Figure value);  // "1.5 %"
std::string as_time(Figure value);   // seconds: "42.5 ms"
std::string as_age(double age);      // seconds: "1 h 2 min"
/// "0.0/2.1%", "-" if neither is known.
std::string as_loss(Figure out, Figure in);
/// One row of a graph in ASCII, so that it is right in every terminal: the last `columns` values, the last at
/// the right.
std::string as_graph(const std::deque<double>& values, std::size_t columns);
/// At most `columns` characters, the middle left out.
std::string shortened(std::string text, std::size_t columns);

}  // namespace kcptun
