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
    Subcommand{SubcommandId::kUser, OptionRole::kServer, "user", "add NAME | remove NAME | list  -c FILE",
               "edit the users-file of a profile; add prints a pairing string"},
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

Asked take_subcommand(Role role, std::vector<std::string>& arguments) {
  Asked asked;
  if (!arguments.empty()) asked.subcommand = find_subcommand(role, arguments.front());
  if (!asked.subcommand) return asked;
  auto end = arguments.begin() + 1;
  if (asked.subcommand->id == SubcommandId::kUser)
    end = std::find_if(end, arguments.end(), [](const std::string& word) { return word.starts_with('-'); });
  asked.words.assign(arguments.begin() + 1, end);
  arguments.erase(arguments.begin(), end);
  return asked;
}

}  // namespace kcptun
