// Bytes as text of letters, digits, '-' and '_' (base64url, RFC 4648 section 5), without padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kcptun {

std::string to_base64url(std::string_view bytes);
/// None if a character is no digit, or if the bits behind the last byte are not 0.
std::optional<std::string> from_base64url(std::string_view digits);

}  // namespace kcptun
