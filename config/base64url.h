// Encodes bytes as base64url (RFC 4648 section 5) without padding: letters, digits, '-' and '_'.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kcptun {

std::string to_base64url(std::string_view bytes);
/// Returns nothing if a character is no digit, or if the unused bits of the last digit are not 0.
std::optional<std::string> from_base64url(std::string_view digits);

}  // namespace kcptun
