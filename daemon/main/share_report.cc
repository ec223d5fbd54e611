#include "daemon/main/share_report.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <optional>

#include "config/options.h"
#include "daemon/main/qr_code.h"

namespace kcptun {
namespace {

constexpr std::size_t kColumns = 80;
constexpr std::string_view kIndent = "    ";
// Lines below the code that must stay visible with it: the prompt and the lines printed after it.
constexpr int kRowsBeside = 4;

struct TerminalSize {
  int columns = 0;
  int rows = 0;  // 0: unknown, taken as unlimited
};

/// The size of standard output's terminal, or nothing if it is not a terminal.
std::optional<TerminalSize> terminal_size() {
  if (::isatty(STDOUT_FILENO) == 0) return std::nullopt;
  winsize size{};
  const bool told = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return told ? TerminalSize{size.ws_col, size.ws_row} : TerminalSize{kColumns, 0};
}

}  // namespace

std::string pairing_command(Role role, std::string_view pairing) {
  const std::string command = std::string(program_name(role)) + " -c '" + std::string(pairing) + "'";
  constexpr std::size_t kWidth = kColumns - kIndent.size();
  std::string text;
  for (std::size_t at = 0; at < command.size(); at += kWidth)
    text.append(kIndent).append(command.substr(at, kWidth)).append("\n");
  return text;
}

std::string qr_part(std::string_view pairing) {
  const auto size = terminal_size();
  if (!size) return {};
  const auto code = qr_text(pairing);
  if (!code) return {};
  const int rows = (code->columns + 1) / 2 + kRowsBeside;
  if (code->columns <= size->columns && (size->rows == 0 || rows <= size->rows))
    return "The same string as a QR code:\n\n" + code->text + '\n';
  return "(A terminal of " + std::to_string(code->columns) + " columns and " + std::to_string(rows) +
         " lines shows it as a QR code: --share.)\n\n";
}

}  // namespace kcptun
