// The whole of a start's configuration: arguments, environment and JSON file in; run, print or refuse out.
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
  std::vector<std::string> arguments{};          // without the program's name
  std::optional<std::string> environment_key{};  // KCPTUN_KEY; set but empty is an empty key, as in kcptun
  PluginEnvironment plugin{};                    // SS_*: a start as a shadowsocks plugin, if any is set
  std::string library_versions{};                // what --version says besides our own
  /// The text of the file of -c, unless that is a pairing string; the error is what the system said of it.
  std::function<Result<std::string>(const std::string& path)> read_file{};
  /// True for a file of -c that every user of the machine can read. None: nobody asks.
  std::function<bool(const std::string& path)> others_can_read{};
  KeyFileReader read_key_file{};
  /// Fresh randomness for --genkey.
  std::function<std::array<std::uint8_t, 32>()> random_bytes{};
};

/// What one tunnel was told, and what that means.
struct ConfiguredTunnel {
  Settings settings;
  Profile profile;
};

/// Start the tunnels. Each warning is one line to log before.
struct RunTunnels {
  std::vector<ConfiguredTunnel> tunnels;  // at least one; options of the process have the same value in each
  bool several = false;                   // they stand in the file's "tunnels", each with a name of its own
  std::vector<std::string> warnings;
};

/// Print `text` to standard output and exit with 0; the warnings (of --check) go to standard error.
struct PrintText {
  std::string text;  // ends with a newline
  std::vector<std::string> warnings;
};

/// InitPair: write a new pair of profiles (--init).
/// Do what a subcommand says, with `profile` for the tunnel. Each warning is one line for standard error.
struct RunSubcommand {
  SubcommandId id;
  Settings settings;  // that the profile was made from
  Profile profile;
  std::vector<std::string> warnings;
};
/// ShareRequest: print pairing strings (--share).
using ParsedCommand =
    std::variant<RunTunnels, PrintText, InitPair, ShareRequest, RunSubcommand, StartupError>;

/// Pure but for input.read_file.
ParsedCommand parse_command(const CommandInput& input);

/// The border to the world: main's arguments, the environment's KCPTUN_KEY and SS_*, files from disk. A copy:
/// who reads the files again needs neither arguments nor environment, which may be overwritten meanwhile
/// (daemon/process/secrets.h).
CommandInput input_of_process(Role role, int argc, const char* const* argv,
                              std::string_view library_versions);
/// The same, parsed.
ParsedCommand parse_command(Role role, int argc, const char* const* argv, std::string_view library_versions);

/// True for a regular file whose mode lets everybody read it.
bool others_can_read(const std::string& path);
/// A whole file of at most 1 MiB. The error is the system's text, without the path.
Result<std::string> read_text_file(const std::string& path);

}  // namespace kcptun
