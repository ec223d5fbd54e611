// Renders a QR code as text for a terminal.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kcptun {

struct QrText {
  std::string text;  // UTF-8 half blocks, black on white by colour escapes; each line ends with a newline
  int columns = 0;   // width of each line
};

/// One character shows two modules, one above the other. A border of four light modules surrounds the code.
/// Returns nothing if the text is too long for a QR code. REQUIRES: no NUL in `text`.
std::optional<QrText> qr_text(std::string_view text);

}  // namespace kcptun
