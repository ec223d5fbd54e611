#include "config/reload.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "config/validate.h"

namespace kcptun {
namespace {

// Options without a JSON field (-c, --check and the like) belong to the command line, which cannot change at
// run time.
bool can_change(const Option& option, Role role) { return !option.json.empty() && option.applies_to(role); }

}  // namespace

std::string_view effect_of(OptionReload reload) {
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

namespace {

std::optional<std::size_t> find_running(const RunTunnels& running, const RunTunnels& wanted,
                                        std::string_view name) {
  if (!running.several && !wanted.several) return 0;
  for (std::size_t i = 0; i < running.tunnels.size(); ++i)
    if (running.tunnels[i].profile.name == name) return i;
  return std::nullopt;
}

bool addresses_overlap(const Address& one, const Address& other) {
  if (std::holds_alternative<UnixPath>(one) || std::holds_alternative<UnixPath>(other)) return one == other;
  const auto& a = std::get<HostPort>(one);
  const auto& b = std::get<HostPort>(other);
  return a.host == b.host && a.port_min <= b.port_max && b.port_min <= a.port_max;
}

// True if another of these tunnels listens on `place`.
bool has_place(const RunTunnels& tunnels, const Address& place, std::string_view but_for) {
  return std::ranges::any_of(tunnels.tunnels, [&](const ConfiguredTunnel& other) {
    return other.profile.name != but_for && addresses_overlap(place, other.profile.local_address);
  });
}

// True if the tunnel's new address is that of another running tunnel, or if another wanted tunnel takes its
// old one.
bool must_move(const Profile& was, const Profile& is, const RunTunnels& running, const RunTunnels& wanted) {
  if (addresses_overlap(was.local_address, is.local_address)) return false;
  return has_place(wanted, was.local_address, is.name) || has_place(running, is.local_address, is.name);
}

std::variant<ReloadPlan::Kept, StartupError> keep(std::size_t index, const ConfiguredTunnel& running,
                                                  const ConfiguredTunnel& wanted) {
  Settings settings = applicable_settings(running.settings, wanted.settings);
  auto validated = validate(settings);
  if (const auto* complaint = std::get_if<ValidationError>(&validated))
    return startup_error_of(settings, *complaint);
  ReloadPlan::Kept kept{index, {}, {std::move(settings), std::move(std::get<Profile>(validated))}};
  for (Change& change : changes_between(running.settings, wanted.settings))
    if (!is_process_wide(change.option)) kept.changes.push_back(std::move(change));
  return kept;
}

}  // namespace

std::variant<ReloadPlan, StartupError> plan_reload(const RunTunnels& running, RunTunnels wanted) {
  ReloadPlan plan;
  plan.several = wanted.several;
  for (Change& change : changes_between(running.tunnels.front().settings, wanted.tunnels.front().settings))
    if (is_process_wide(change.option)) plan.process_changes.push_back(std::move(change));
  std::vector<bool> wanted_still(running.tunnels.size());
  // The running tunnel that each wanted tunnel continues; computed before any of them is moved from.
  std::vector<std::optional<std::size_t>> goes_on_as;
  for (const ConfiguredTunnel& tunnel : wanted.tunnels) {
    auto index = find_running(running, wanted, tunnel.profile.name);
    if (index && must_move(running.tunnels[*index].profile, tunnel.profile, running, wanted)) index.reset();
    goes_on_as.push_back(index);
  }
  for (std::size_t i = 0; i < wanted.tunnels.size(); ++i) {
    ConfiguredTunnel& tunnel = wanted.tunnels[i];
    const auto index = goes_on_as[i];
    if (!index) {
      plan.added.push_back(std::move(tunnel));
      continue;
    }
    wanted_still[*index] = true;
    auto kept = keep(*index, running.tunnels[*index], tunnel);
    if (auto* refusal = std::get_if<StartupError>(&kept)) return std::move(*refusal);
    plan.kept.push_back(std::move(std::get<ReloadPlan::Kept>(kept)));
  }
  for (std::size_t i = 0; i < wanted_still.size(); ++i)
    if (!wanted_still[i]) plan.removed.push_back(i);
  return plan;
}

}  // namespace kcptun
