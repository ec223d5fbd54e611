// The table of subcommands. A subcommand is a first argument without a dash that replaces running the
// tunnels.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"

namespace kcptun {

enum class SubcommandId : std::uint8_t { kProbe, kBench, kTop, kUser };

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

/// A subcommand and the words between its name and the flags.
struct Asked {
  const Subcommand* subcommand = nullptr;
  std::vector<std::string> words{};
};

/// Takes the subcommand and its words off the front of the arguments.
Asked take_subcommand(Role role, std::vector<std::string>& arguments);

}  // namespace kcptun
