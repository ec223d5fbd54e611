// Holds the log lines of a start until the log can name what was started.
#pragma once

#include <string>
#include <vector>

#include "config/profile.h"

namespace kcptun {

/// A line that waits.
struct HeldLine {
  LogLevel level;
  std::string text;
};
/// Holds all further lines, so that the lines of a start follow the line that names what was started.
/// REQUIRES: a log in use; no other thread logs during the call.
void hold_log();
/// Returns the held lines and stops holding. Empty if no lines were held.
std::vector<HeldLine> take_held_log();
void log_held(const std::vector<HeldLine>& lines);

}  // namespace kcptun
