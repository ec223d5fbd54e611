// A configuration that is read again while the program runs: what changed, and what of it can take effect.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace kcptun {

/// One option whose value changed.
struct Change {
  OptionId option;
  OptionReload reload;
  std::string before;  // as shown_value() says it
  std::string after;
};

/// Options that count for the role and differ, in the table's order; those that --mode sets count as its own.
/// REQUIRES: both of one role, and through apply_mode().
std::vector<Change> changes_between(const Settings& before, const Settings& after);

/// `wanted`, but for the options that need a restart, which stay as they are `running`.
Settings applicable_settings(const Settings& running, Settings wanted);

/// "mtu 1350 -> 1400 (new sessions)", one line for people.
std::string to_text(const Change& change);

}  // namespace kcptun
