#include "config/unsupported.h"

#include <array>

namespace kcptun {
namespace {

constexpr std::array kLaterOptions{
    OptionId::kTcp,
};

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

}  // namespace kcptun
