// The table of subcommands. A subcommand is a first argument without a dash that replaces running the
// tunnels.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "config/options.h"

namespace kcptun {

enum class SubcommandId : std::uint8_t { kProbe, kBench, kTop };

struct Subcommand {
  SubcommandId id;
  OptionRole role;
  std::string_view name;
  std::string_view usage;  // the arguments behind the name
  std::string_view help;
};

std::span<const Subcommand> all_subcommands();
/// Returns nullptr if the role has no such subcommand.
const Subcommand* find_subcommand(Role role, std::string_view name);

}  // namespace kcptun
