// Turns arguments, environment and JSON file into the command to execute: run tunnels, print text, write or
// share profiles, run a subcommand, or report a startup error.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/init.h"
#include "config/key_file.h"
#include "config/plugin.h"
#include "config/profile.h"
#include "config/settings.h"
#include "config/subcommands.h"
#include "core/base/result.h"

namespace kcptun {

struct CommandInput {
  Role role = Role::kClient;
  std::vector<std::string> arguments{};          // without the program name
  std::optional<std::string> environment_key{};  // KCPTUN_KEY; "" is an empty key, as in kcptun
  PluginEnvironment plugin{};                    // SS_*; any of them selects plugin mode
  std::string library_versions{};                // printed by --version
  /// Returns the text of the file that -c names. The error is the system's message. Not called for a pairing
  /// string.
  std::function<Result<std::string>(const std::string& path)> read_file{};
  /// True if every user of the machine can read the file of -c. An empty function disables this check.
  std::function<bool(const std::string& path)> others_can_read{};
  KeyFileReader read_key_file{};
  /// Random bytes for --genkey.
  std::function<std::array<std::uint8_t, 32>()> random_bytes{};
};

/// The settings of one tunnel and the profile that validation made from them.
struct ConfiguredTunnel {
  Settings settings;
  Profile profile;
};

/// Start the tunnels. Each warning is one line, to be logged first.
struct RunTunnels {
  std::vector<ConfiguredTunnel> tunnels;  // at least one; process-wide options are equal in all of them
  bool several = false;                   // the file has "tunnels"; each tunnel has a unique name
  std::vector<std::string> warnings;
};

/// Print `text` to standard output and the warnings (of --check) to standard error, then exit with 0.
struct PrintText {
  std::string text;  // ends with a newline
  std::vector<std::string> warnings;
  std::vector<Profile> checked{};  // those of --check
};

/// Run a subcommand on the tunnel `profile`. Each warning is one line for standard error.
struct RunSubcommand {
  SubcommandId id;
  Settings settings;  // the source of `profile`
  Profile profile;
  std::vector<std::string> warnings;
  std::vector<std::string> words{};  // behind the subcommand's name, before the flags
};
/// InitPair: write a new pair of profiles (--init). ShareRequest: print pairing strings (--share).
using ParsedCommand =
    std::variant<RunTunnels, PrintText, InitPair, ShareRequest, RunSubcommand, StartupError>;

/// Has no side effects other than calls to the functions in `input`.
ParsedCommand parse_command(const CommandInput& input);

/// Collects the input of a real process: the arguments of main(), KCPTUN_KEY, SS_* and functions that read
/// files. The result is a copy, because daemon/process/secrets.h overwrites arguments and environment, and a
/// reload parses the command again.
CommandInput input_of_process(Role role, int argc, const char* const* argv,
                              std::string_view library_versions);
/// Parses input_of_process().
ParsedCommand parse_command(Role role, int argc, const char* const* argv, std::string_view library_versions);

/// True for a regular file that all users may read.
bool others_can_read(const std::string& path);
/// Reads a file of at most 1 MiB. The error is the system's message, without the path.
Result<std::string> read_text_file(const std::string& path);

}  // namespace kcptun
