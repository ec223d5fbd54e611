// What files, web pages and word processors put around the text that counts: byte order marks, ends of lines,
// blanks, bytes that are not UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace kcptun {

/// One character of a text. `size` is its bytes; of a byte that begins no UTF-8 it is 1 and `value`
/// kNoCharacter.
struct Character {
  char32_t value = 0;
  std::size_t size = 0;
  bool valid() const;
};
inline constexpr char32_t kNoCharacter = 0x110000;

/// REQUIRES: !text.empty().
Character first_character(std::string_view text);

/// "U+201C".
std::string code_point_name(char32_t value);

/// White space of ASCII and of Unicode, byte order marks among it.
bool is_blank(char32_t value);

/// Without the blanks at both ends.
std::string_view without_blanks(std::string_view text);

/// Each byte that begins no UTF-8 becomes U+FFFD, as Go's JSON reader has it.
std::string valid_utf8(std::string_view text);

/// The text of a file that an editor wrote: without a UTF-8 byte order mark. The error, of another encoding,
/// is a predicate.
Result<std::string> text_of_file(std::string text);

}  // namespace kcptun
