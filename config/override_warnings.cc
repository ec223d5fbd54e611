#include "config/override_warnings.h"

#include <optional>

namespace kcptun {
namespace {

using enum OptionId;

bool is_given(Source source) {
  return source == Source::kEnvironment || source == Source::kFlag || source == Source::kPluginOption;
}
bool is_of_file(Source source) { return source == Source::kFile || source == Source::kTunnel; }

/// The option as it was given: "--mtu 1200", "--quiet=false" or "KCPTUN_KEY".
std::string given_text(const Settings& settings, const Option& option) {
  const Source source = settings.source(option.id);
  if (source == Source::kEnvironment) return "KCPTUN_KEY";
  std::string name(option.flag);
  const bool is_flag = source == Source::kFlag;
  if (is_flag) name.insert(0, name.size() == 1 ? "-" : "--");
  const std::string behind = is_flag ? "" : " from SS_PLUGIN_OPTIONS";
  if (option.kind == OptionKind::kSwitch) return name + (settings.on(option.id) ? "" : "=false") + behind;
  const auto* text = std::get_if<std::string>(&settings.value(option.id));
  const bool bare = text && !is_secret(option.id) && option.kind != OptionKind::kList;
  return name + ' ' + (bare ? printable(*text) : shown_value(option, settings.value(option.id))) + behind;
}

/// The option of the file that overrides `id`, if there is one.
std::optional<OptionId> winner_over(OptionId id, const Settings& after) {
  if (is_of_file(after.source(id))) return id;
  for (const OptionId value : {kKey, kPrivateKey, kUsers}) {
    const OptionId file = file_option_of(value).value();
    if (id == file && is_of_file(after.source(value))) return value;
    if (id == value && is_of_file(after.source(file)) && !after.text(file).empty()) return file;
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> override_warnings(const Settings& before, const Settings& after) {
  std::vector<std::string> warnings;
  for (const auto& option : all_options()) {
    if (!is_given(before.source(option.id))) continue;
    const auto winner = winner_over(option.id, after);
    if (!winner || (*winner == option.id && after.value(option.id) == before.value(option.id))) continue;
    const Option& wins = option_of(*winner);
    const bool is_flag = before.source(option.id) == Source::kFlag;
    warnings.push_back(given_text(before, option) +
                       " is ignored: " + printable_path(after.text(kConfigFile)) + " has \"" +
                       std::string(wins.json) + "\": " + shown_value(wins, after.value(*winner)) +
                       ", and the file overrides " + (is_flag ? "flags" : "it"));
  }
  return warnings;
}

}  // namespace kcptun
