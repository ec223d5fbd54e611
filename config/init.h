// --init: from one side's flags, the matching profiles of both sides. --share: the pairing strings of a
// profile that is there. Pure: the key, this machine's address and the file are the daemon's.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/settings.h"

namespace kcptun {

/// What --init asks for. Each warning is one line for standard error.
struct InitPair {
  Settings settings;             // of the program's own side, complete but for a key that nobody gave
  Role written = Role::kServer;  // whose profile goes into the file; the other's is printed
  std::string path;              // of -c, else server.json or client.json
  bool wants_key = false;        // no key was given: one is to be generated
  bool wants_address =
      false;  // nothing says where clients find the server: this machine's own address is to be used
  std::vector<std::string> warnings{};
};

/// Lays what suits a new pair below what the user chose, and validates. REQUIRES: --init is set.
std::variant<InitPair, StartupError> prepare_init(Settings settings);

/// What --share asks for: the tunnels of a profile. Each warning is one line for standard error.
struct ShareRequest {
  std::vector<Settings> tunnels;  // at least one, complete
  bool wants_address = false;     // of a server that nothing says where clients find
  std::vector<std::string> warnings{};
};

struct ProfilePair {
  Settings client;
  Settings server;
};

/// What the world adds: empty where `init` wants none.
struct InitFacts {
  std::string key;
  std::string own_host;  // an address literal without brackets
};

/// Both sides. Options of transport, redundancy and streams, and what must agree, are the same at both.
/// The refusal names what of the flags fits this side but not the other.
std::variant<ProfilePair, StartupError> make_pair_of(const InitPair& init, const InitFacts& facts);

/// True for a server's settings that do not say where clients find it: this machine's own address is to be
/// used.
bool wants_own_address(const Settings& settings);

/// The pairing string of a tunnel, as --init printed it. `own_host` is empty unless some tunnel wants it.
/// REQUIRES: settings that passed validate().
std::variant<std::string, StartupError> pairing_of(const Settings& settings, const std::string& own_host);

/// A profile for -c: JSON, each field below a comment that says what it is.
/// `path` is the file's name, for the comment that says how to use it.
std::string render_profile(const Settings& settings, std::string_view path);

/// "server.json", "client.json".
std::string default_path(Role role);

}  // namespace kcptun
