#include "config/plugin.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

#include "config/address.h"
#include "config/suggest.h"

namespace kcptun {
namespace {

constexpr std::string_view kOptionsVariable = "SS_PLUGIN_OPTIONS";

using NamedVariable = std::pair<std::string_view, const std::optional<std::string>*>;

Result<bool> check_complete(const PluginEnvironment& environment) {
  const std::array<NamedVariable, 4> required{{{"SS_REMOTE_HOST", &environment.remote_host},
                                               {"SS_REMOTE_PORT", &environment.remote_port},
                                               {"SS_LOCAL_HOST", &environment.local_host},
                                               {"SS_LOCAL_PORT", &environment.local_port}}};
  for (const auto& [name, value] : required) {
    if (*value) continue;
    return Error{std::string(name) +
                 " is not set, though other variables of a shadowsocks plugin (SIP003) are; it needs SS_REMOTE_HOST, "
                 "SS_REMOTE_PORT, SS_LOCAL_HOST and SS_LOCAL_PORT"};
  }
  return true;
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  return error == std::errc{} && stop == end && port != 0;
}

std::string variable_error(std::string_view side, std::string_view part, std::string_view value,
                           std::string_view predicate) {
  std::string message("SS_");
  message.append(side).append(part).append(" \"").append(printable(value)).append("\": ");
  return message.append(predicate);
}

/// "host:port" of "SS_REMOTE" or "SS_LOCAL".
Result<std::string> join_address(std::string_view side, const std::string& host, const std::string& port) {
  if (!is_port(port)) return Error{variable_error(side, "_PORT", port, "must be a port in 1..65535")};
  if (host.empty()) return Error{variable_error(side, "_HOST", host, "is empty")};
  // shadowsocks-libev joins the addresses of a server that has more than one by '|'.
  if (host.find('|') != host.npos) {
    return Error{variable_error(side, "_HOST", host, "names more than one address; only one can be used")};
  }
  if (host.front() == '@') return Error{variable_error(side, "_HOST", host, "is neither a name nor an address")};
  const bool bare_ipv6 = host.front() != '[' && host.find(':') != host.npos;
  std::string address = (bare_ipv6 ? '[' + host + ']' : host) + ':' + port;
  // The strictest use: no unix path, no port range.
  const auto parsed = parse_address(address, AddressUse::kDatagramDial);
  if (!parsed) return Error{variable_error(side, "_HOST", host, parsed.error())};
  return address;
}

/// For flags that print and exit.
bool only_prints(OptionId id) {
  return id == OptionId::kCheck || id == OptionId::kHelp || id == OptionId::kHelpMarkdown || id == OptionId::kVersion;
}

const Option* find_option(Role role, std::string_view name) {
  if (const Option* by_flag = find_flag(role, name)) return by_flag;
  const Option* by_field = find_field(name);
  return by_field && by_field->applies_to(role) ? by_field : nullptr;
}

std::string about_option(std::string_view name, std::string_view predicate) {
  std::string message(kOptionsVariable);
  return message.append(": ").append(printable(name)).append(": ").append(predicate);
}

std::string unknown_option_error(std::string_view name, Role role) {
  const Role other = role == Role::kClient ? Role::kServer : Role::kClient;
  if (find_option(other, name)) {
    return about_option(name, "is for " + std::string(program_name(other)) + " only");
  }
  std::vector<std::string_view> known;
  for (const auto& option : all_options()) {
    if (option.applies_to(role) && option.group != OptionGroup::kHidden) known.push_back(option.flag);
  }
  const auto nearest = nearest_name(name, known);
  return about_option(name, nearest.empty() ? std::string("unknown option")
                                            : "unknown option (did you mean " + std::string(nearest) + "?)");
}

Result<FlagAssignment> assign_option(const PluginOption& given, Role role) {
  const Option* option = find_option(role, given.name);
  if (!option) return Error{unknown_option_error(given.name, role)};
  if (only_prints(option->id)) return Error{about_option(given.name, "is for the command line only")};
  if (!given.value) {
    if (option->kind == OptionKind::kSwitch) return FlagAssignment{option->id, Value{true}};
    return Error{about_option(given.name, "needs a value")};
  }
  auto value = value_from_text(*option, *given.value);
  if (!value) return Error{plugin_option_message(*option, *given.value, value.error())};
  return FlagAssignment{option->id, std::move(value.value())};
}

}  // namespace

Result<std::vector<PluginOption>> split_plugin_options(std::string_view text) {
  std::vector<PluginOption> options;
  if (text.empty()) return options;
  options.emplace_back();
  for (std::size_t i = 0; i < text.size(); ++i) {
    PluginOption& option = options.back();
    char c = text[i];
    const bool escaped = c == '\\';
    if (escaped) {
      if (++i == text.size()) return Error{"ends with a backslash that escapes nothing"};
      c = text[i];
      if (c != ';' && c != '=' && c != '\\') return Error{"has a backslash before something other than ; = or \\"};
    }
    if (!escaped && c == ';') {
      options.emplace_back();
    } else if (!escaped && c == '=' && !option.value) {
      option.value.emplace();
    } else {
      (option.value ? *option.value : option.name) += c;
    }
  }
  if (std::ranges::any_of(options, [](const PluginOption& o) { return o.name.empty(); })) {
    return Error{"has an option without a name"};
  }
  return options;
}

Result<PluginSettings> parse_plugin_environment(const PluginEnvironment& environment, Role role) {
  if (const auto complete = check_complete(environment); !complete) return Error{complete.error()};
  PluginSettings settings;
  auto remote = join_address("REMOTE", *environment.remote_host, *environment.remote_port);
  if (!remote) return Error{remote.error()};
  settings.remote = std::move(remote.value());
  auto local = join_address("LOCAL", *environment.local_host, *environment.local_port);
  if (!local) return Error{local.error()};
  settings.local = std::move(local.value());
  const auto options = split_plugin_options(environment.options.value_or(""));
  if (!options) return Error{std::string(kOptionsVariable) + ": " + options.error()};
  for (const auto& given : options.value()) {
    auto assignment = assign_option(given, role);
    if (!assignment) return Error{assignment.error()};
    settings.options.push_back(std::move(assignment.value()));
  }
  return settings;
}

PluginAddresses plugin_addresses(Role role) {
  if (role == Role::kClient) return {.remote = OptionId::kRemoteAddr, .local = OptionId::kLocalAddr};
  return {.remote = OptionId::kListen, .local = OptionId::kTarget};
}

std::string plugin_option_message(const Option& option, std::string_view value, std::string_view predicate) {
  // flag_message() hides the key; what differs is the dashes.
  const std::string message = flag_message(option, value, predicate);
  return std::string(kOptionsVariable) + ": " + message.substr(message.find_first_not_of('-'));
}

}  // namespace kcptun
