#include "config/init.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "config/address.h"
#include "config/json_list.h"
#include "config/normalise.h"
#include "config/pairing.h"
#include "config/profile_warnings.h"
#include "config/text.h"
#include "config/validate.h"

namespace kcptun {
namespace {

using enum OptionId;

/// An option, as flag text, that differs from kcptun's default in a new pair. Both ends of a new pair are
/// kcptun-uv, so they have the suite with forward secrecy. Windows and redundancy keep their defaults,
/// because they adapt to the path.
struct NewPairValue {
  OptionId id;
  std::string_view value;
};
constexpr std::array<NewPairValue, 3> kNewPairValues{{
    {kCrypt, "noise"},
    {kMode, "fast3"},
    {kNoComp, "true"},
}};

bool is_chosen(const Settings& settings, OptionId id) { return settings.source(id) != Source::kDefault; }

/// True for options of the tunnel; false for options of the machine that an end runs on.
bool is_shared(const Option& option) {
  switch (option.group) {
    case OptionGroup::kSecurity:
    case OptionGroup::kKcp:
    case OptionGroup::kManual:
    case OptionGroup::kFec:
    case OptionGroup::kMultiplexing:
      return option.role == OptionRole::kBoth && !option.json.empty() && option.id != kPrivateKey &&
             option.id != kPrivateKeyFile;
    default:
      return false;
  }
}

void apply_new_pair_values(Settings& settings) {
  for (const auto& [id, text] : kNewPairValues) {
    if (!is_chosen(settings, id))
      settings.set(id, value_from_text(option_of(id), text).value(), Source::kFlag);
  }
  if (settings.role() == Role::kClient && !is_chosen(settings, kLocalAddr) &&
      !is_chosen(settings, kForward) && !is_chosen(settings, kReverse)) {
    settings.set(kLocalAddr, std::string(kOwnMachineOnly), Source::kFlag);
  }
}

HostPort listen_of(const Settings& server) {
  return std::get<HostPort>(parse_address(server.text(kListen), AddressUse::kDatagramListen).value());
}

std::string ports_of(const HostPort& address) {
  std::string ports = std::to_string(address.port_min);
  if (address.is_range()) ports += '-' + std::to_string(address.port_max);
  return ports;
}

/// Where the suite stretches keys, the prefix says that this one needs no stretching: no 64 MiB at each
/// start.
std::string key_for(const Settings& settings, const std::string& random) {
  const auto row = std::ranges::find(kCipherNames, settings.text(kCrypt), &CipherName::name);
  const bool stretches = row != kCipherNames.end() && is_own_suite(row->cipher);
  return (stretches ? std::string(kRawKeyPrefix) : std::string()) + random;
}

bool is_every_address(std::string_view host) { return host.empty() || host == "0.0.0.0" || host == "::"; }

std::string bracketed(const std::string& host) {
  return host.find(':') == host.npos ? host : '[' + host + ']';
}

/// --public-address, completed with the port of --listen. REQUIRES: prepare_init() accepted the settings.
std::string public_address(const Settings& server, const std::string& own_host) {
  const HostPort listen = listen_of(server);
  std::string asked(without_blanks(server.text(kPublicAddress)));
  if (asked.empty()) {
    return bracketed(is_every_address(listen.host) ? own_host : listen.host) + ':' + ports_of(listen);
  }
  if (parse_address(asked, AddressUse::kDatagramDial)) return asked;
  return bracketed(asked) + ':' + ports_of(listen);
}

std::optional<ValidationError> check_server(const Settings& settings) {
  if (listen_of(settings).port_min == 0)
    return ValidationError{kListen, "has port 0; a client must know the port"};
  const auto address = parse_address(public_address(settings, "192.0.2.1"), AddressUse::kDatagramDial);
  if (!address) return ValidationError{kPublicAddress, address.error()};
  if (std::get<HostPort>(address.value()).host.empty()) return ValidationError{kPublicAddress, "has no host"};
  return std::nullopt;
}

/// Rejects text that is not UTF-8, because JSON cannot represent it.
std::optional<ValidationError> check_text(const Settings& settings) {
  for (const auto& option : all_options()) {
    const auto* text = std::get_if<std::string>(&settings.value(option.id));
    if (!text) continue;
    try {
      (void)nlohmann::json(*text).dump();
    } catch (const nlohmann::json::type_error&) {
      return ValidationError{option.id, "is not valid UTF-8, and a JSON file holds nothing else"};
    }
  }
  return std::nullopt;
}

std::optional<ValidationError> check_client_address(const Settings& settings) {
  if (is_chosen(settings, kRemoteAddr)) return std::nullopt;
  return ValidationError{kRemoteAddr, "is kcptun's example; --init and --share need the server's address"};
}

std::optional<ValidationError> check_client(const Settings& settings) {
  if (settings.text(kRemoteAddr).find(',') != std::string::npos)
    return ValidationError{kRemoteAddr,
                           "names several servers; --init makes the profiles of one client and one server"};
  return check_client_address(settings);
}

/// The settings of the side opposite to `mine`.
Settings other_side(const Settings& mine, const std::string& own_host) {
  Settings other(mine.role() == Role::kClient ? Role::kServer : Role::kClient);
  for (const auto& option : all_options()) {
    if (is_shared(option) && is_chosen(mine, option.id))
      other.set(option.id, mine.value(option.id), Source::kFlag);
  }
  if (mine.role() == Role::kServer) {
    other.set(kRemoteAddr, public_address(mine, own_host), Source::kFlag);
    other.set(kLocalAddr, std::string(kOwnMachineOnly), Source::kFlag);
  } else {
    const auto remote = parse_address(mine.text(kRemoteAddr), AddressUse::kDatagramDial);
    other.set(kListen, ':' + ports_of(std::get<HostPort>(remote.value())), Source::kFlag);
  }
  return other;
}

bool belongs_in_profile(const Settings& settings, const Option& option) {
  if (option.json.empty() || !option.applies_to(settings.role())) return false;
  const bool address = option.group == OptionGroup::kAddresses && option.kind == OptionKind::kAddress;
  return address || must_agree(option.id) || is_chosen(settings, option.id);
}

/// Wraps `text` into comment lines of at most kColumns characters.
std::string as_comment(std::string_view text, std::string_view indent) {
  constexpr std::size_t kColumns = 80;
  const std::string mark = std::string(indent) + "//";
  std::string out = mark;
  std::size_t column = mark.size();
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(' '));
    if (column + 1 + word.size() > kColumns) {
      out.append("\n").append(mark);
      column = mark.size();
    }
    out.append(" ").append(word);
    column += 1 + word.size();
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return out + '\n';
}

std::string comment_of(const Option& option) {
  std::string text = help_of(option);
  if (const auto hint = value_hint(option); !hint.empty()) text += ": " + hint;
  const bool in_help = option.help.find("same on both sides") != option.help.npos;
  if (must_agree(option.id) && !in_help) text += "; the same on both sides";
  return as_comment(text, "  ");
}

}  // namespace

std::string default_path(Role role) { return role == Role::kClient ? "client.json" : "server.json"; }

std::variant<InitPair, StartupError> prepare_init(Settings settings) {
  InitPair init{.settings = Settings(settings.role()), .path = {}};
  init.written = settings.text(kInit) == "client" ? Role::kClient : Role::kServer;
  init.path = settings.text(kConfigFile).empty() ? default_path(init.written) : settings.text(kConfigFile);
  if (is_pairing(init.path)) {
    return startup_error_of(settings, {kInit, "writes a file, and -c names a pairing string"});
  }
  if (!settings.text(kPrivateKey).empty())
    return startup_error_of(settings,
                            {kPrivateKey,
                             "has no place in a new pair: --init makes a shared key; add private-key "
                             "and users-file to the server's profile, then kcptun-server user add NAME"});
  apply_new_pair_values(settings);
  init.warnings = normalise(settings);
  auto validated = validate(settings);
  if (const auto* complaint = std::get_if<ValidationError>(&validated))
    return startup_error_of(settings, *complaint);
  if (const auto bad = check_text(settings)) return startup_error_of(settings, *bad);
  const bool server = settings.role() == Role::kServer;
  if (const auto bad = server ? check_server(settings) : check_client(settings))
    return startup_error_of(settings, *bad);
  init.wants_key = !is_chosen(settings, kKey);
  init.wants_address = wants_own_address(settings);
  auto& profile = std::get<Profile>(validated);
  // A placeholder as long as the key that will be generated, so that no warning about the key appears.
  if (init.wants_key) profile.key = std::string(43, 'k');
  for (auto& warning : profile_warnings(profile)) init.warnings.push_back(std::move(warning));
  init.settings = std::move(settings);
  return init;
}

std::variant<ProfilePair, StartupError> make_pair_of(const InitPair& init, const InitFacts& facts) {
  Settings mine = init.settings;
  if (init.wants_key) mine.set(kKey, key_for(mine, facts.key), Source::kFlag);
  Settings other = other_side(mine, facts.own_host);
  apply_mode(other);
  const auto validated = validate(other);
  if (const auto* complaint = std::get_if<ValidationError>(&validated))
    return startup_error_of(other, *complaint);
  if (mine.role() == Role::kClient) return ProfilePair{std::move(mine), std::move(other)};
  return ProfilePair{std::move(other), std::move(mine)};
}

bool wants_own_address(const Settings& settings) {
  return settings.role() == Role::kServer && settings.text(kPublicAddress).empty() &&
         is_every_address(listen_of(settings).host);
}

std::variant<std::string, StartupError> pairing_of(const Settings& settings, const std::string& own_host) {
  const bool client = settings.role() == Role::kClient;
  if (!client && !settings.text(kPrivateKey).empty())
    return startup_error_of(settings,
                            {kShare,
                             "prints nothing for a server with private-key, where each client has a key "
                             "of its own: kcptun-server user add NAME makes one"});
  if (!client) return pairing_of_user(settings, own_host, {});
  if (const auto bad = check_text(settings)) return startup_error_of(settings, *bad);
  if (const auto bad = check_client_address(settings)) return startup_error_of(settings, *bad);
  return encode_pairing(settings);
}

std::variant<std::string, StartupError> pairing_of_user(const Settings& server, const std::string& own_host,
                                                        const UserKeys& keys) {
  if (const auto bad = check_text(server)) return startup_error_of(server, *bad);
  if (const auto bad = check_server(server)) return startup_error_of(server, *bad);
  Settings client = other_side(server, own_host);
  if (!keys.own.empty()) client.set(kPrivateKey, keys.own, Source::kFlag);
  if (!keys.server.empty()) client.set(kServerKey, keys.server, Source::kFlag);
  apply_mode(client);
  return encode_pairing(client);
}

std::string render_profile(const Settings& settings, std::string_view path) {
  const std::string program(program_name(settings.role()));
  std::string out = "// One side of a tunnel: " + program + " -c " + printable_path(path) +
                    "\n// The key in it opens the tunnel: keep this file to yourself.\n"
                    "// kcptun-uv.json(5) has all fields. Go's kcptun reads no comments.\n{\n";
  std::string fields;
  for (const auto& option : all_options()) {
    if (!belongs_in_profile(settings, option)) continue;
    if (!fields.empty()) fields += ",\n";
    const auto value = json_of_value(option, settings.value(option.id));
    fields += comment_of(option) + "  \"" + std::string(option.json) + "\": " + value.dump();
  }
  return out + fields + "\n}\n";
}

}  // namespace kcptun
