// A QR code as text for a terminal.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kcptun {

struct QrText {
  std::string text;  // lines of half blocks in UTF-8, black on white by colour codes, each ended by a newline
  int columns = 0;   // its width
};

/// Two modules are one character; four light modules are around. Nothing when the text is too long for a QR
/// code. REQUIRES: no NUL in `text`.
std::optional<QrText> qr_text(std::string_view text);

}  // namespace kcptun
