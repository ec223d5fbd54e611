#include "config/unsupported.h"

#include <algorithm>
#include <array>

#include "config/address.h"

namespace kcptun {
namespace {

constexpr std::array kLaterOptions{
    OptionId::kTcp,        //
    OptionId::kPprof,      //
    OptionId::kQpp,        //
    OptionId::kSnmpLog,    //
    OptionId::kRateLimit,  //
    OptionId::kAutoExpire, OptionId::kDscp,
    OptionId::kListen,      // port ranges
    OptionId::kRemoteAddr,  // port ranges
};

constexpr std::array<std::string_view, 1> kLaterFields{"tunnels"};

bool is_port_range(const std::string& text) {
  const auto address = parse_address(text, AddressUse::kDatagramDial);
  if (!address) return false;
  const auto* host_port = std::get_if<HostPort>(&address.value());
  return host_port && host_port->is_range();
}

bool asks_for_feature(const Settings& settings, OptionId id) {
  switch (option_of(id).kind) {
    case OptionKind::kSwitch:
      return settings.on(id);
    case OptionKind::kNumber:
      return settings.number(id) > 0;
    case OptionKind::kAddress:
      return is_port_range(settings.text(id));
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
    const bool range = option_of(id).kind == OptionKind::kAddress;
    return Complaint{id, (range ? "is a port range, which " : "") + std::string(kComesLater)};
  }
  return std::nullopt;
}

bool is_unsupported_field(std::string_view name) {
  return std::ranges::find(kLaterFields, name) != kLaterFields.end();
}

}  // namespace kcptun
