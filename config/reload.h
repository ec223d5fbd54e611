// Compares a reread configuration with the running one: what changed, and what can take effect at run time.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "config/command.h"
#include "config/settings.h"

namespace kcptun {

/// An option whose value changed.
struct Change {
  OptionId option;
  OptionReload reload;
  std::string before;  // formatted by shown_value()
  std::string after;
};

/// The options of the role that differ, in table order. Options set by --mode count with the mode's values.
/// REQUIRES: both have one role and went through apply_mode().
std::vector<Change> changes_between(const Settings& before, const Settings& after);

/// Returns `wanted` with the `running` values of the options that need a restart.
Settings applicable_settings(const Settings& running, Settings wanted);

/// Returns when a change takes effect: "at once", "new sessions" or "needs a restart".
std::string_view effect_of(OptionReload reload);

/// The steps from the running tunnels to the wanted ones.
struct ReloadPlan {
  struct Kept {
    std::size_t running = 0;      // index into the running tunnels
    std::vector<Change> changes;  // without the process-wide ones
    ConfiguredTunnel next;        // its new configuration; options that need a restart are unchanged
  };
  std::vector<Change> process_changes;
  std::vector<Kept> kept;  // in the order of the new configuration, like `added`
  std::vector<ConfiguredTunnel> added;
  std::vector<std::size_t> removed;  // indexes into the running tunnels
  bool several = false;
};

/// Matches tunnels by name; a single tunnel matches a single tunnel. A tunnel whose listening address changed
/// needs a restart and keeps its address. If an address passes from one tunnel to another, both are restarted
/// instead. The error describes a combination that is invalid because part of it needs a restart. REQUIRES:
/// both have one role.
std::variant<ReloadPlan, StartupError> plan_reload(const RunTunnels& running, RunTunnels wanted);

}  // namespace kcptun
