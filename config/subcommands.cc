#include "config/subcommands.h"

#include <algorithm>
#include <array>

namespace kcptun {
namespace {

constexpr std::array kSubcommands{
    Subcommand{SubcommandId::kProbe, OptionRole::kClient, "probe",
               "-c FILE|STRING | -r ADDRESS --key SECRET [flags]",
               "measure the path to a kcptun server, and print a profile that fits"},
    Subcommand{SubcommandId::kBench, OptionRole::kClient, "bench",
               "-c FILE|STRING | -r ADDRESS --key SECRET [flags]",
               "move data through a tunnel to a target that echoes, and print how fast"},
    Subcommand{SubcommandId::kTop, OptionRole::kBoth, "top", "[--once] ADDRESS | -c FILE",
               "show in the terminal what a program with --status ADDRESS does"},
};

}  // namespace

std::span<const Subcommand> all_subcommands() { return kSubcommands; }

const Subcommand* find_subcommand(Role role, std::string_view name) {
  const auto found = std::ranges::find_if(kSubcommands, [&](const Subcommand& command) {
    const bool applies =
        command.role == OptionRole::kBoth || (command.role == OptionRole::kClient) == (role == Role::kClient);
    return applies && command.name == name;
  });
  return found == kSubcommands.end() ? nullptr : &*found;
}

}  // namespace kcptun
