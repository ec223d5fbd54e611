// Removes what files, web pages and word processors add to text: byte order marks, line ends, blanks, invalid
// UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace kcptun {

/// What errors and --check show in place of a secret.
inline constexpr std::string_view kHiddenValue = "(hidden)";

/// One character of a text. `size` is its length in bytes. For a byte that does not begin valid UTF-8, `size`
/// is 1 and `value` is kNoCharacter.
struct Character {
  char32_t value = 0;
  std::size_t size = 0;
  bool valid() const;
};
inline constexpr char32_t kNoCharacter = 0x110000;

/// REQUIRES: !text.empty().
Character first_character(std::string_view text);

/// Returns "U+201C".
std::string code_point_name(char32_t value);

/// True for white space of ASCII and Unicode, and for byte order marks.
bool is_blank(char32_t value);

/// The largest name of a tunnel or a user, in bytes.
inline constexpr std::size_t kMaxNameSize = 63;
/// True for at most kMaxNameSize letters, digits, dots, underscores and hyphens: such a name can stand in a
/// key=value log line, in a file name and in the label of a metric.
bool is_name(std::string_view text);

/// Removes the blanks at both ends.
std::string_view without_blanks(std::string_view text);

/// Replaces each byte that does not begin valid UTF-8 by U+FFFD, as Go's JSON decoder does.
std::string valid_utf8(std::string_view text);

/// Decodes the text of a file: removes a UTF-8 byte order mark. The error, for another encoding, is a
/// predicate.
Result<std::string> text_of_file(std::string text);

}  // namespace kcptun
