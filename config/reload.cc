#include "config/reload.h"

namespace kcptun {
namespace {

// -c, --check and their like are of the command line, which does not change while the program runs.
bool can_change(const Option& option, Role role) { return !option.json.empty() && option.applies_to(role); }

std::string_view effect(OptionReload reload) {
  switch (reload) {
    case OptionReload::kLive:
      return "at once";
    case OptionReload::kNextSession:
      return "new sessions";
    case OptionReload::kRestart:
      break;
  }
  return "needs a restart";
}

}  // namespace

std::vector<Change> changes_between(const Settings& before, const Settings& after) {
  std::vector<Change> changes;
  for (const Option& option : all_options()) {
    const Value& was = before.value(option.id);
    const Value& is = after.value(option.id);
    if (!can_change(option, before.role()) || was == is) continue;
    changes.push_back({option.id, option.reload, shown_value(option, was), shown_value(option, is)});
  }
  return changes;
}

Settings applicable_settings(const Settings& running, Settings wanted) {
  for (const Option& option : all_options()) {
    if (can_change(option, running.role()) && option.reload != OptionReload::kRestart) continue;
    wanted.set(option.id, running.value(option.id), running.source(option.id));
  }
  return wanted;
}

std::string to_text(const Change& change) {
  std::string text(option_of(change.option).json);
  return text.append(" ").append(change.before).append(" -> ").append(change.after).append(" (").append(
             effect(change.reload)) + ')';
}

}  // namespace kcptun
