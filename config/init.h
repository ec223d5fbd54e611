// --init makes matching profiles for both sides from the flags of one side. --share makes pairing strings
// from an existing profile. Nothing here touches the system: the daemon supplies the key and this machine's
// address, and writes the file.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/settings.h"

namespace kcptun {

/// The request of --init. Each warning is one line for standard error.
struct InitPair {
  Settings settings;             // of this program's side; the key is missing if wants_key
  Role written = Role::kServer;  // the side whose profile is written to the file; the other is printed
  std::string path;              // the value of -c, else server.json or client.json
  bool wants_key = false;        // no key was given; the caller generates one
  bool wants_address = false;    // no public address was given; the caller supplies this machine's address
  std::vector<std::string> warnings{};
};

/// Fills the options that the user left unset with values for a new pair, and validates the result. REQUIRES:
/// --init is set.
std::variant<InitPair, StartupError> prepare_init(Settings settings);

/// The request of --share. Each warning is one line for standard error.
struct ShareRequest {
  std::vector<Settings> tunnels;  // of the profile; at least one, complete
  bool wants_address = false;     // for a server without a public address, as in InitPair
  std::vector<std::string> warnings{};
};

struct ProfilePair {
  Settings client;
  Settings server;
};

/// The values that the daemon supplies. A field is empty if InitPair does not want it.
struct InitFacts {
  std::string key;
  std::string own_host;  // an address literal without brackets
};

/// Makes the profiles of both sides. They have equal options for security, transport, redundancy and streams.
/// The error names a flag that is valid at this side but not at the other.
std::variant<ProfilePair, StartupError> make_pair_of(const InitPair& init, const InitFacts& facts);

/// True for a server without --public-address that listens at all addresses. Clients then need this machine's
/// address.
bool wants_own_address(const Settings& settings);

/// The pairing string of a tunnel, equal to the one that --init printed. `own_host` is used only if
/// wants_own_address().
/// REQUIRES: settings that passed validate().
std::variant<std::string, StartupError> pairing_of(const Settings& settings, const std::string& own_host);

/// The keys in the pairing string of one user of a server with private-key.
struct UserKeys {
  std::string own;     // private
  std::string server;  // public
};
/// The pairing string of a server's client. REQUIRES: as for pairing_of().
std::variant<std::string, StartupError> pairing_of_user(const Settings& server, const std::string& own_host,
                                                        const UserKeys& keys);

/// A profile for -c: JSON with a comment above each field.
/// `path` is the file name in the usage comment at the top.
std::string render_profile(const Settings& settings, std::string_view path);

/// "server.json" or "client.json".
std::string default_path(Role role);

}  // namespace kcptun
