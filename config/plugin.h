// A start as a shadowsocks plugin (SIP003, https://shadowsocks.org/doc/sip003.html): the host program says
// the addresses and the options in environment variables. Values in, assignments out; reading the environment
// is the caller's (command.cc).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/command_line.h"
#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

/// The variables, each none if it is not set.
struct PluginEnvironment {
  std::optional<std::string> remote_host{};  // SS_REMOTE_HOST: the server's public side, a name or an address
  std::optional<std::string> remote_port{};  // SS_REMOTE_PORT, 1..65535, or a range
  std::optional<std::string> local_host{};   // SS_LOCAL_HOST: the side of the host program on this machine
  std::optional<std::string> local_port{};   // SS_LOCAL_PORT, 1..65535
  std::optional<std::string> options{};      // SS_PLUGIN_OPTIONS, may be missing

  /// One is set, so that a host program started us.
  bool any() const { return remote_host || remote_port || local_host || local_port || options; }
};

struct PluginSettings {
  std::vector<FlagAssignment> options;  // in their order: the last of a repeated option rules
  std::string remote;                   // "host:port" or "host:min-max", IPv6 in brackets
  std::string local;
};

/// SS_PLUGIN_OPTIONS taken apart: "name=value" and bare "name", parted by ';'. A backslash takes its meaning
/// from each ';', '=' and '\' and stands before nothing else; only the first '=' parts, so more of them may
/// stay bare. Blanks around names and values do not count, nor does a ';' with no option before it. No text,
/// no options. The error is a predicate.
struct PluginOption {
  std::string name{};  // not empty
  std::optional<std::string> value{};
  std::string literal{};  // the value with NUL for each escaped character: what may be read as punctuation
};
Result<std::vector<PluginOption>> split_plugin_options(std::string_view text);

/// REQUIRES: environment.any(). The error is a sentence that names the variable, and the option.
Result<PluginSettings> parse_plugin_environment(const PluginEnvironment& environment, Role role);

/// The options that SS_REMOTE_* and SS_LOCAL_* set: the client's remoteaddr and localaddr; the server's
/// listen and target.
struct PluginAddresses {
  OptionId remote;
  OptionId local;
};
PluginAddresses plugin_addresses(Role role);

/// "SS_PLUGIN_OPTIONS: mtu: out of range 128..1500". Never the value: an option that was written wrong may
/// hold the key.
std::string plugin_option_message(const Option& option, std::string_view predicate);

/// The address of SS_REMOTE_* with the port range of `wanted` in place of its port: where `wanted`
/// (remoteaddr, listen) has the same host or none, and its range holds the port. "" otherwise.
std::string with_ports_of(const std::string& address, const std::string& wanted);

}  // namespace kcptun
