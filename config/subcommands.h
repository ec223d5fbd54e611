// The one table of subcommands: a first argument without a dash that names what a program does instead of its
// tunnel.
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
  std::string_view usage;  // what follows the name
  std::string_view help;
};

std::span<const Subcommand> all_subcommands();
/// nullptr if this role has none of that name.
const Subcommand* find_subcommand(Role role, std::string_view name);

}  // namespace kcptun
