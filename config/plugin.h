// Start as a shadowsocks plugin (SIP003, https://shadowsocks.org/doc/sip003.html): the host program passes
// addresses and options in environment variables. This part turns their values into assignments; the caller
// (command.cc) reads the environment.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/command_line.h"
#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

/// The variables; nothing for one that is not set.
struct PluginEnvironment {
  std::optional<std::string> remote_host{};  // SS_REMOTE_HOST: the server's public side, a name or an address
  std::optional<std::string> remote_port{};  // SS_REMOTE_PORT, 1..65535, or a range
  std::optional<std::string> local_host{};   // SS_LOCAL_HOST: the side of the host program on this machine
  std::optional<std::string> local_port{};   // SS_LOCAL_PORT, 1..65535
  std::optional<std::string> options{};      // SS_PLUGIN_OPTIONS; optional

  /// True if any is set, which means that a host program started this process.
  bool any() const { return remote_host || remote_port || local_host || local_port || options; }
};

struct PluginSettings {
  std::vector<FlagAssignment> options;  // in order; the last of a repeated option wins
  std::string remote;                   // "host:port" or "host:min-max", IPv6 in brackets
  std::string local;
};

/// One option of SS_PLUGIN_OPTIONS: "name=value", or "name" alone.
struct PluginOption {
  std::string name{};  // not empty
  std::optional<std::string> value{};
  std::string literal{};  // the value with NUL for each escaped character, which leaves unescaped separators
};

/// Splits SS_PLUGIN_OPTIONS at each ';'. A backslash removes the special meaning of a following ';', '=' or
/// '\' and is invalid before any other character. Only the first '=' of an option separates its name from its
/// value, so later ones need no backslash. Blanks around names and values are ignored, and so is a ';'
/// without an option before it. An empty text has no options. The error is a predicate.
Result<std::vector<PluginOption>> split_plugin_options(std::string_view text);

/// REQUIRES: environment.any(). The error is a sentence that names the variable and the option.
Result<PluginSettings> parse_plugin_environment(const PluginEnvironment& environment, Role role);

/// The options that SS_REMOTE_* and SS_LOCAL_* set: the client's remoteaddr and localaddr; the server's
/// listen and target.
struct PluginAddresses {
  OptionId remote;
  OptionId local;
};
PluginAddresses plugin_addresses(Role role);

/// Returns "SS_PLUGIN_OPTIONS: mtu: out of range 128..1500". Omits the value, because a misspelt option may
/// hold the key.
std::string plugin_option_message(const Option& option, std::string_view predicate);

/// Returns the address of SS_REMOTE_* with its port replaced by the port range of `wanted` (remoteaddr,
/// listen), if `wanted` has the same host or none and its range contains the port; else "".
std::string with_ports_of(const std::string& address, const std::string& wanted);

}  // namespace kcptun
