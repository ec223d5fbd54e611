// Explains to a user why a text is not valid JSON. Never quotes the text, which may contain the key.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kcptun {

/// Returns "3:17": line and column, both counted from 1, in characters. `offset` is a byte offset. REQUIRES:
/// offset <= text.size().
std::string line_and_column(std::string_view text, std::size_t offset);

/// Returns "3:17: a comma is missing before this". `offset` is the last byte that the parser read, `reason`
/// the parser's message.
std::string explain_json_fault(std::string_view text, std::size_t offset, std::string_view reason);

/// Returns where text follows the first value, or text.size() if none follows. Comments do not count as text.
std::size_t find_text_behind(std::string_view text);

}  // namespace kcptun
