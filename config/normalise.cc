#include "config/normalise.h"

#include <algorithm>

#include "config/text.h"
#include "config/validate.h"

namespace kcptun {
namespace {

/// KCPTUN-QUIRK: Go's kcptun uses aes, which has a 256-bit key, for every unknown cipher name. This alias is
/// the only unknown name that is accepted here.
constexpr std::string_view kAes256 = "aes-256";

void trim_address(Settings& settings, const Option& option) {
  const std::string& text = settings.text(option.id);
  const auto trimmed = without_blanks(text);
  if (trimmed.size() < text.size()) settings.set(option.id, std::string(trimmed), settings.source(option.id));
}

/// Clamps the number if its option permits that. Returns the warning, "" if the number is unchanged.
std::string clamp_number(Settings& settings, const Option& option) {
  if (settings.has_word(option.id)) return {};
  const auto asked = settings.number(option.id);
  const auto beyond = beyond_range_of(option.id);
  const auto [min, max] = option.range;
  const bool moves = (beyond == BeyondRange::kBelowIsMin && asked < min) ||
                     (beyond == BeyondRange::kAboveIsMax && asked > max);
  if (!moves) return {};
  const auto used = std::clamp(asked, min, max);
  settings.set(option.id, used, settings.source(option.id));
  return std::string(option.flag) + ' ' + std::to_string(asked) + " is outside " + value_hint(option) +
         "; using " + std::to_string(used);
}

}  // namespace

std::vector<std::string> normalise(Settings& settings) {
  std::vector<std::string> warnings;
  if (auto warning = apply_mode(settings); !warning.empty()) warnings.push_back(std::move(warning));
  for (const auto& option : all_options()) {
    if (!option.applies_to(settings.role())) continue;
    if (option.kind == OptionKind::kAddress) trim_address(settings, option);
    if (option.kind != OptionKind::kNumber) continue;
    if (auto warning = clamp_number(settings, option); !warning.empty())
      warnings.push_back(std::move(warning));
  }
  if (settings.role() == Role::kClient && !settings.text(OptionId::kForward).empty() &&
      settings.source(OptionId::kLocalAddr) == Source::kDefault)
    settings.set(OptionId::kLocalAddr, std::string(), Source::kDefault);  // only the forwards listen
  if (settings.text(OptionId::kCrypt) == kAes256) {
    settings.set(OptionId::kCrypt, std::string("aes"), settings.source(OptionId::kCrypt));
    warnings.emplace_back("crypt aes-256 is called aes; using aes, as Go's kcptun does");
  }
  return warnings;
}

}  // namespace kcptun
