// Lines of a start that wait until the log can say what was started.
#pragma once

#include <string>
#include <vector>

#include "config/profile.h"

namespace kcptun {

/// One line that waits.
struct HeldLine {
  LogLevel level;
  std::string text;
};
/// From now on lines wait, so that those of a start stand behind the one that says what was started.
/// REQUIRES: a log in use; no other thread logs meanwhile.
void hold_log();
/// The lines that waited; later ones wait no more. Empty if none did.
std::vector<HeldLine> take_held_log();
void log_held(const std::vector<HeldLine>& lines);

}  // namespace kcptun
