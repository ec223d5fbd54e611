#include "daemon/main/qr_code.h"

#include <qrencode.h>

#include <memory>

namespace kcptun {
namespace {

constexpr int kQuietZone = 4;  // light modules on each side (ISO/IEC 18004)
constexpr std::string_view kBlackOnWhite = "\x1b[30;107m";
constexpr std::string_view kReset = "\x1b[0m";

class Modules {
 public:
  explicit Modules(const QRcode& code) : code_(code) {}
  int side() const { return code_.width + 2 * kQuietZone; }
  bool dark(int row, int column) const {
    row -= kQuietZone;
    column -= kQuietZone;
    if (row < 0 || column < 0 || row >= code_.width || column >= code_.width) return false;
    return (code_.data[row * code_.width + column] & 1) != 0;
  }

 private:
  const QRcode& code_;
};

const char* half_blocks(bool upper, bool lower) {
  if (upper) return lower ? "\u2588" : "\u2580";
  return lower ? "\u2584" : " ";
}

}  // namespace

std::optional<QrText> qr_text(std::string_view text) {
  const std::string terminated(text);
  const std::unique_ptr<QRcode, void (*)(QRcode*)> code(
      QRcode_encodeString8bit(terminated.c_str(), 0, QR_ECLEVEL_L), &QRcode_free);
  if (!code) return std::nullopt;
  const Modules modules(*code);
  QrText out;
  out.columns = modules.side();
  for (int row = 0; row < modules.side(); row += 2) {
    out.text += kBlackOnWhite;
    for (int column = 0; column < modules.side(); ++column)
      out.text += half_blocks(modules.dark(row, column), modules.dark(row + 1, column));
    out.text.append(kReset).append("\n");
  }
  return out;
}

}  // namespace kcptun
