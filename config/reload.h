// A configuration that is read again while the program runs: what changed, and what of it can take effect.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "config/command.h"
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

/// When a change counts: "at once", "new sessions", "needs a restart".
std::string_view effect_of(OptionReload reload);

/// What to do to the tunnels that run so that they become those that are wanted.
struct ReloadPlan {
  struct Kept {
    std::size_t running = 0;      // its index there
    std::vector<Change> changes;  // but for those of the process
    ConfiguredTunnel next;        // what it becomes: what needs a restart stays as it is
  };
  std::vector<Change> process_changes;
  std::vector<Kept> kept;  // in the order of the new configuration, as `added` is
  std::vector<ConfiguredTunnel> added;
  std::vector<std::size_t> removed;  // indexes of running ones
  bool several = false;
};

/// Tunnels of several are the same if their names are; one alone is the same as one alone. A tunnel whose
/// listening address changes needs a restart, and keeps what it has, unless an address passes from one tunnel
/// to another: then both end and begin anew. The error is of a combination that cannot be, because a part of
/// it needs a restart. REQUIRES: both of one role.
std::variant<ReloadPlan, StartupError> plan_reload(const RunTunnels& running, RunTunnels wanted);

}  // namespace kcptun
