// What is wrong with a text that is no JSON, in the words of somebody who typed it. Never repeats what stands
// there, which may be the key.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kcptun {

/// "3:17", both from 1, in characters. `offset` counts the bytes before the place. REQUIRES: offset <=
/// text.size().
std::string line_and_column(std::string_view text, std::size_t offset);

/// "3:17: a comma is missing before this". `offset` is the last byte that the parser read, `reason` its own
/// sentence.
std::string explain_json_fault(std::string_view text, std::size_t offset, std::string_view reason);

/// Where the text behind the first value begins, text.size() if there is none. Comments are no text.
std::size_t find_text_behind(std::string_view text);

}  // namespace kcptun
