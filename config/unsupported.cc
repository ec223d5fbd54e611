#include "config/unsupported.h"

#include <algorithm>
#include <array>

namespace kcptun {
namespace {

constexpr std::array kLaterOptions{
    OptionId::kTcp,
};

constexpr std::array<std::string_view, 1> kLaterFields{"tunnels"};

bool asks_for_feature(const Settings& settings, OptionId id) {
  switch (option_of(id).kind) {
    case OptionKind::kSwitch:
      return settings.on(id);
    case OptionKind::kNumber:
      return settings.number(id) > 0;
    case OptionKind::kAddress:
    case OptionKind::kText:
    case OptionKind::kChoice:
      break;
  }
  return !settings.text(id).empty();
}

}  // namespace

std::optional<Complaint> find_unsupported(const Settings& settings) {
  for (const auto id : kLaterOptions) {
    if (!option_of(id).applies_to(settings.role()) || !asks_for_feature(settings, id)) continue;
    return Complaint{id, std::string(kComesLater)};
  }
  if (settings.on(OptionId::kPprof)) return Complaint{OptionId::kPprof, std::string(kNoPprof)};
  return std::nullopt;
}

bool is_unsupported_field(std::string_view name) {
  return std::ranges::find(kLaterFields, name) != kLaterFields.end();
}

}  // namespace kcptun
