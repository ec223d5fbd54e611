#include "config/plugin.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "config/address.h"
#include "config/suggest.h"
#include "config/text.h"
#include "core/base/check.h"

namespace kcptun {
namespace {

constexpr std::string_view kOptionsVariable = "SS_PLUGIN_OPTIONS";
constexpr std::string_view kRemoteSide = "REMOTE";
constexpr std::string_view kLocalSide = "LOCAL";

using NamedVariable = std::pair<std::string_view, const std::optional<std::string>*>;

Result<bool> check_complete(const PluginEnvironment& environment) {
  const std::array<NamedVariable, 4> required{{{"SS_REMOTE_HOST", &environment.remote_host},
                                               {"SS_REMOTE_PORT", &environment.remote_port},
                                               {"SS_LOCAL_HOST", &environment.local_host},
                                               {"SS_LOCAL_PORT", &environment.local_port}}};
  for (const auto& [name, value] : required) {
    if (*value) continue;
    return Error{
        std::string(name) +
        " is not set, though other variables of a shadowsocks plugin (SIP003) are; it needs SS_REMOTE_HOST, "
        "SS_REMOTE_PORT, SS_LOCAL_HOST and SS_LOCAL_PORT"};
  }
  return true;
}

/// True for one port. On the UDP side (dialled or listened on) a range is valid too; the host program passes
/// it unchanged.
bool is_port(std::string_view text, std::string_view side) {
  const auto address = parse_address(std::string(":").append(text), AddressUse::kDatagramDial);
  const bool digits = text.find_first_not_of("0123456789-") == text.npos;
  return address.ok() && digits && (side == kRemoteSide || !std::get<HostPort>(address.value()).is_range());
}

std::string variable_error(std::string_view side, std::string_view part, std::string_view value,
                           std::string_view predicate) {
  std::string message("SS_");
  message.append(side).append(part).append(" \"").append(printable(value)).append("\": ");
  return message.append(predicate);
}

/// The "host:port" of "SS_REMOTE" or "SS_LOCAL".
Result<std::string> join_address(std::string_view side, std::string_view given_host,
                                 std::string_view given_port) {
  const std::string host(without_blanks(given_host));
  const std::string port(without_blanks(given_port));
  if (!is_port(port, side)) return Error{variable_error(side, "_PORT", port, "must be a port in 1..65535")};
  if (host.empty()) return Error{variable_error(side, "_HOST", host, "is empty")};
  // shadowsocks-libev separates several addresses of a server by '|'.
  if (host.find('|') != host.npos) {
    return Error{variable_error(side, "_HOST", host, "names more than one address; only one can be used")};
  }
  if (host.front() == '@')
    return Error{variable_error(side, "_HOST", host, "is neither a name nor an address")};
  const bool bare_ipv6 = host.front() != '[' && host.find(':') != host.npos;
  std::string address = (bare_ipv6 ? '[' + host + ']' : host) + ':' + port;
  // The strictest use, which excludes unix paths.
  const auto parsed = parse_address(address, AddressUse::kDatagramDial);
  if (!parsed) return Error{variable_error(side, "_HOST", host, parsed.error())};
  return address;
}

/// True for flags that print and exit.
bool only_prints(OptionId id) {
  return id == OptionId::kCheck || id == OptionId::kHelp || id == OptionId::kHelpMarkdown ||
         id == OptionId::kVersion;
}

const Option* find_option(Role role, std::string_view name) {
  if (const Option* by_flag = find_flag(role, name)) return by_flag;
  const Option* by_field = find_field(name);
  return by_field && by_field->applies_to(role) ? by_field : nullptr;
}

/// The leading letters, digits, '-' and '_' of a text: the part that is certainly a name.
std::string_view word_of(std::string_view text) {
  const auto in_word = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; };
  return text.substr(0, static_cast<std::size_t>(std::ranges::find_if_not(text, in_word) - text.begin()));
}

std::string about_option(std::string_view name, std::string_view predicate) {
  std::string message(kOptionsVariable);
  return message.append(": ").append(name).append(": ").append(predicate);
}

/// An unknown name may be a misplaced value. It is not shown if no value follows it or if it is not a word.
std::string unknown_option_error(const PluginOption& given, Role role) {
  const Role other = role == Role::kClient ? Role::kServer : Role::kClient;
  if (find_option(other, given.name)) {
    return about_option(given.name, "is for " + std::string(program_name(other)) + " only");
  }
  std::vector<std::string_view> known;
  for (const auto& option : all_options()) {
    if (option.applies_to(role) && option.group != OptionGroup::kHidden) known.push_back(option.flag);
  }
  const auto nearest = nearest_name(given.name, known);
  if (!nearest.empty() && word_of(given.name) == given.name)
    return about_option(given.name, "unknown option (did you mean " + std::string(nearest) + "?)");
  const auto word = word_of(given.name);
  if (const Option* option = find_option(role, word); option && word.size() < given.name.size())
    return about_option(word, "is parted from its value by =, and from the next option by ;");
  if (given.value && word == given.name) return about_option(word, "unknown option");
  return std::string(kOptionsVariable) +
         ": an unknown option (hidden, as it may be a value); options are name=value, parted by ;";
}

bool parts_options(char c) {
  return c == ',' || c == '&' || c == '|' || std::isspace(static_cast<unsigned char>(c)) != 0;
}

bool is_any_option(std::string_view name) {
  return name.size() > 1 && (find_option(Role::kClient, name) || find_option(Role::kServer, name));
}

/// The name of an option that is part of `value` by mistake, as in "K,crypt=aes"; "" if there is none.
std::string_view swallowed_option(std::string_view value) {
  for (std::size_t at = 0; at < value.size(); ++at) {
    if (!parts_options(value[at])) continue;
    const auto rest = value.substr(at + 1);
    const auto word = word_of(rest);
    if (rest.substr(word.size()).starts_with('=') && is_any_option(word)) return word;
  }
  return {};
}

Result<FlagAssignment> assign_option(const PluginOption& given, Role role) {
  const Option* option = find_option(role, given.name);
  if (!option) return Error{unknown_option_error(given, role)};
  if (only_prints(option->id)) return Error{about_option(given.name, "is for the command line only")};
  if (!given.value) {
    if (option->kind == OptionKind::kSwitch) return FlagAssignment{option->id, Value{true}};
    return Error{about_option(given.name, "needs a value")};
  }
  if (const auto next = swallowed_option(given.literal); !next.empty())
    return Error{about_option(given.name,
                              "runs into " + std::string(next) +
                                  ": options are parted by ; (an = that belongs to a value is written \\=)")};
  auto value = value_from_text(*option, *given.value);
  if (!value) return Error{plugin_option_message(*option, value.error())};
  return FlagAssignment{option->id, std::move(value.value())};
}

}  // namespace

Result<std::vector<PluginOption>> split_plugin_options(std::string_view text) {
  std::vector<PluginOption> options(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    PluginOption& option = options.back();
    char c = text[i];
    const bool escaped = c == '\\';
    if (escaped) {
      if (++i == text.size()) return Error{"ends with a backslash that escapes nothing"};
      c = text[i];
      if (c != ';' && c != '=' && c != '\\')
        return Error{"has a backslash before something other than ; = or \\"};
    }
    if (!escaped && c == ';') {
      options.emplace_back();
    } else if (!escaped && c == '=' && !option.value) {
      option.value.emplace();
    } else {
      (option.value ? *option.value : option.name) += c;
      if (option.value) option.literal += escaped ? '\0' : c;
    }
  }
  for (PluginOption& option : options) {
    option.name = without_blanks(option.name);
    if (option.value) option.value = std::string(without_blanks(*option.value));
  }
  std::erase_if(options, [](const PluginOption& o) { return o.name.empty() && !o.value; });
  if (std::ranges::any_of(options, [](const PluginOption& o) { return o.name.empty(); })) {
    return Error{"has an option without a name"};
  }
  return options;
}

Result<PluginSettings> parse_plugin_environment(const PluginEnvironment& environment, Role role) {
  if (const auto complete = check_complete(environment); !complete) return Error{complete.error()};
  PluginSettings settings;
  auto remote = join_address(kRemoteSide, *environment.remote_host, *environment.remote_port);
  if (!remote) return Error{remote.error()};
  settings.remote = std::move(remote.value());
  auto local = join_address(kLocalSide, *environment.local_host, *environment.local_port);
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

std::string plugin_option_message(const Option& option, std::string_view predicate) {
  if (predicate.starts_with("is ")) predicate.remove_prefix(3);
  return about_option(option.flag, predicate);
}

std::string with_ports_of(const std::string& address, const std::string& wanted) {
  const auto given = parse_address(address, AddressUse::kDatagramDial);
  const auto ports = parse_address(wanted, AddressUse::kDatagramDial);
  KCPTUN_CHECK(given.ok());
  if (!ports) return {};
  const auto& own = std::get<HostPort>(given.value());
  const auto& range = std::get<HostPort>(ports.value());
  const bool same_host = range.host.empty() || range.host == own.host;
  const bool holds_port = range.port_min <= own.port_min && own.port_max <= range.port_max;
  if (!range.is_range() || !same_host || !holds_port) return {};
  return address.substr(0, address.rfind(':') + 1) + std::to_string(range.port_min) + '-' +
         std::to_string(range.port_max);
}

}  // namespace kcptun
