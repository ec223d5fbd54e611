#include "config/command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <tuple>

#include "config/command_line.h"
#include "config/forwards.h"
#include "config/json_file.h"
#include "config/normalise.h"
#include "config/open_file.h"
#include "config/override_warnings.h"
#include "config/pairing.h"
#include "config/profile_warnings.h"
#include "config/render.h"
#include "config/static_key.h"
#include "config/text.h"
#include "config/tunnel_clashes.h"
#include "config/users.h"
#include "config/validate.h"
#include "core/base/check.h"

namespace kcptun {
namespace {

// Bytes. Profiles are far smaller; the limit bounds the memory that `-c /dev/zero` can allocate.
constexpr std::size_t kMaxFileSize = 1 << 20;

/// The profile that -c names.
struct ProfileText {
  std::string json;
  bool paired = false;  // it was decoded from a pairing string
};

/// Reads the profile from a file, a pairing string or a file that contains a pairing string. Replaces a
/// pairing string in `settings` by kPairingName, because messages must not show the key. The error is a
/// sentence.
Result<ProfileText> json_of(const CommandInput& input, Settings& settings) {
  const std::string word = settings.text(OptionId::kConfigFile);
  std::string pairing = word;
  if (!is_pairing(word)) {
    auto text = input.read_file(word);
    if (!text) return Error{printable_path(word) + ": cannot read: " + text.error()};
    text = text_of_file(std::move(text.value()));
    if (!text) return Error{printable_path(word) + ' ' + text.error()};
    if (!is_pairing(without_blanks(text.value()))) return ProfileText{std::move(text.value())};
    pairing = std::move(text.value());
  } else {
    settings.set(OptionId::kConfigFile, std::string(kPairingName), Source::kFlag);
  }
  auto json = decode_pairing(pairing, input.role);
  if (!json) return Error{printable_path(settings.text(OptionId::kConfigFile)) + ' ' + json.error()};
  return ProfileText{std::move(json.value()), true};
}

bool sets_secret(const FileSettings::Assignments& assignments) {
  return std::ranges::any_of(assignments, [](const FileSettings::Assignment& one) {
    const auto* text = std::get_if<std::string>(&one.value);
    return is_secret(one.option) && text && !text->empty();
  });
}

/// Warns if the file contains a key or a token and all users can read it; else "".
std::string readable_secret_warning(const CommandInput& input, const std::string& file,
                                    const FileSettings& settings) {
  const bool secret = sets_secret(settings.assignments) ||
                      std::ranges::any_of(settings.tunnels, sets_secret, &FileSettings::Tunnel::assignments);
  if (!secret || file == kPairingName || !input.others_can_read || !input.others_can_read(file)) return {};
  return printable_path(file) +
         " holds a secret, and every user of this machine can read it: chmod 600, or 640 with a "
         "group of its own";
}

/// Reads and parses the file of -c. Returns empty settings without -c.
std::variant<FileSettings, StartupError> read_file(const CommandInput& input, Settings& settings) {
  if (settings.text(OptionId::kConfigFile).empty()) return FileSettings{};
  const auto text = json_of(input, settings);
  if (!text) return content_error(input.role, text.error());
  const std::string& file = settings.text(OptionId::kConfigFile);
  auto parsed = parse_json_settings(text.value().json, file, input.role);
  if (!parsed) return content_error(input.role, parsed.error());
  parsed.value().paired = text.value().paired;
  if (auto warning = readable_secret_warning(input, file, parsed.value()); !warning.empty())
    parsed.value().warnings.push_back(std::move(warning));
  return std::move(parsed.value());
}

/// The name of a source in warnings.
std::string_view source_name(Source source) {
  if (source == Source::kFile) return "the JSON file";
  return source == Source::kPluginOption ? "SS_PLUGIN_OPTIONS" : "the command line";
}

/// The addresses of the shadowsocks host override all other sources, with a warning for each address that the
/// user set. The host passes a single server port; a configured port range that contains it is kept.
void apply_plugin_addresses(const PluginSettings& plugin, Settings& settings,
                            std::vector<std::string>& warnings) {
  const auto [remote, local] = plugin_addresses(settings.role());
  for (const auto& [id, address, variables] :
       {std::tuple{remote, &plugin.remote, "SS_REMOTE_*"}, std::tuple{local, &plugin.local, "SS_LOCAL_*"}}) {
    const Source source = settings.source(id);
    const bool written = source != Source::kDefault;
    std::string used = written && id == remote ? with_ports_of(*address, settings.text(id)) : std::string();
    if (written && used.empty())
      warnings.push_back(std::string(option_of(id).flag) + " from " + std::string(source_name(source)) +
                         " is ignored: " + variables + " of the shadowsocks host rule");
    settings.set(id, used.empty() ? *address : used, Source::kPluginAddress);
  }
}

std::array<std::uint8_t, 32> system_randomness() {
  std::array<std::uint8_t, 32> bytes;
  KCPTUN_CHECK(getentropy(bytes.data(), bytes.size()) == 0);
  return bytes;
}

PluginEnvironment plugin_environment_of_process() {
  const auto variable = [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
  return {.remote_host = variable("SS_REMOTE_HOST"),
          .remote_port = variable("SS_REMOTE_PORT"),
          .local_host = variable("SS_LOCAL_HOST"),
          .local_port = variable("SS_LOCAL_PORT"),
          .options = variable("SS_PLUGIN_OPTIONS")};
}

/// The output of --help, --version and similar flags; none if no such flag is set.
std::optional<PrintText> information(const CommandInput& input, const Settings& settings) {
  if (settings.on(OptionId::kHelp)) return PrintText{render_help(input.role), {}};
  if (settings.on(OptionId::kVersion)) return PrintText{render_version(input.library_versions), {}};
  if (settings.on(OptionId::kHelpMarkdown)) return PrintText{render_markdown(), {}};
  if (settings.on(OptionId::kGenKey)) return PrintText{render_key(input.random_bytes()), {}};
  if (settings.on(OptionId::kHelpMan)) return PrintText{render_man(input.role), {}};
  if (settings.on(OptionId::kHelpManJson)) return PrintText{render_man_json(), {}};
  return std::nullopt;
}

/// Warns of flags that have an effect only with a subcommand.
void warn_of_subcommand_flags(const Settings& settings, std::vector<std::string>& warnings) {
  for (const auto id : {OptionId::kDuration, OptionId::kBandwidth}) {
    if (settings.source(id) == Source::kDefault) continue;
    warnings.push_back("--" + std::string(option_of(id).flag) + " is ignored: it is for kcptun-client probe");
  }
}

/// Warns if remoteaddr is not set, for example because the client was given a server's file.
std::string example_server_warning(const Settings& settings) {
  if (settings.role() != Role::kClient || settings.source(OptionId::kRemoteAddr) != Source::kDefault)
    return {};
  return "remoteaddr is not set, so the server is kcptun's example, " + settings.text(OptionId::kRemoteAddr) +
         ": set --remoteaddr, or remoteaddr in the file";
}

/// Validates one tunnel. Its warnings begin with `prefix`.
std::variant<ConfiguredTunnel, StartupError> configure(const CommandInput& input, Settings settings,
                                                       const std::string& prefix,
                                                       std::vector<std::string>& warnings) {
  if (const auto complaint = resolve_keys(settings, input.read_key_file))
    return startup_error_of(settings, *complaint);
  if (const auto complaint = resolve_users(settings, input.read_file))
    return startup_error_of(settings, *complaint);
  for (const auto& warning : normalise(settings)) warnings.push_back(prefix + warning);
  auto validated = validate(settings);
  if (const auto* complaint = std::get_if<ValidationError>(&validated))
    return startup_error_of(settings, *complaint);
  auto& profile = std::get<Profile>(validated);
  if (auto warning = example_server_warning(settings); !warning.empty()) warnings.push_back(prefix + warning);
  for (const auto& warning : profile_warnings(profile)) warnings.push_back(prefix + warning);
  return ConfiguredTunnel{std::move(settings), std::move(profile)};
}

/// The fields outside "tunnels" are defaults; each tunnel may override them.
Settings settings_of(const FileSettings::Tunnel& tunnel, const Settings& base) {
  Settings settings = base;
  settings.set_place(tunnel.place);
  for (const auto& [option, value] : tunnel.assignments) settings.set(option, value, Source::kTunnel);
  return settings;
}

std::variant<RunTunnels, StartupError> configure_all(const CommandInput& input, const Settings& base,
                                                     const FileSettings& file,
                                                     std::vector<std::string> warnings) {
  if (!base.text(OptionId::kInit).empty())
    return startup_error_of(base, {OptionId::kInit, "is for the command line only"});
  RunTunnels run{{}, !file.tunnels.empty(), std::move(warnings)};
  if (run.several && base.source(OptionId::kName) != Source::kDefault)
    return startup_error_of(
        base, {OptionId::kName, "names one tunnel, and the file has \"tunnels\" with names of their own"});
  const auto add = [&](Settings settings, const std::string& prefix) -> std::optional<StartupError> {
    auto tunnel = configure(input, std::move(settings), prefix, run.warnings);
    if (auto* refusal = std::get_if<StartupError>(&tunnel)) return std::move(*refusal);
    run.tunnels.push_back(std::move(std::get<ConfiguredTunnel>(tunnel)));
    return std::nullopt;
  };
  if (!run.several)
    if (auto refusal = add(base, "")) return *refusal;
  for (const auto& tunnel : file.tunnels) {
    Settings settings = settings_of(tunnel, base);
    const std::string prefix = "tunnel " + tunnel.name + ": ";
    for (const auto& warning : override_warnings(base, settings)) run.warnings.push_back(prefix + warning);
    if (auto refusal = add(std::move(settings), prefix)) return *refusal;
  }
  if (const auto clash = find_clash(run.tunnels))
    return startup_error_of(run.tunnels[clash->tunnel].settings, clash->error);
  return run;
}

void forget_key_files(Settings& settings) {
  for (const auto id : {OptionId::kKeyFile, OptionId::kPrivateKeyFile})
    settings.set(id, std::string(), Source::kDefault);
}

/// The output of --pubkey.
ParsedCommand print_public_key(const CommandInput& input, Settings settings) {
  if (const auto complaint = resolve_keys(settings, input.read_key_file))
    return startup_error_of(settings, *complaint);
  if (settings.text(OptionId::kPrivateKey).empty())
    return usage_error(input.role,
                       "--pubkey needs private-key or private-key-file, or a file with one behind -c");
  const auto key = parse_static_key(settings.text(OptionId::kPrivateKey));
  if (!key) return startup_error_of(settings, {OptionId::kPrivateKey, std::string(kStaticKeyForm)});
  return PrintText{to_text(public_key_of(*key)) + '\n', {}};
}

ShareRequest share_request(RunTunnels run) {
  ShareRequest share{.tunnels = {}, .warnings = std::move(run.warnings)};
  for (ConfiguredTunnel& tunnel : run.tunnels) {
    share.wants_address |= wants_own_address(tunnel.settings);
    share.tunnels.push_back(std::move(tunnel.settings));
  }
  return share;
}

/// The first `user add` makes the users-file.
void let_users_file_be_missing(CommandInput& input) {
  input.read_file = [read = input.read_file](const std::string& path) {
    auto text = read(path);
    const bool missing = !text && ::access(path.c_str(), F_OK) != 0 && errno == ENOENT;
    return missing ? Result<std::string>(std::string(kNoUsers)) : text;
  };
}

ParsedCommand finish(const CommandInput& input, const Settings& base, Asked asked, const FileSettings& file,
                     std::vector<std::string> warnings) {
  const Subcommand* const subcommand = asked.subcommand;
  auto configured = configure_all(input, base, file, std::move(warnings));
  if (auto* refusal = std::get_if<StartupError>(&configured)) return std::move(*refusal);
  auto& run = std::get<RunTunnels>(configured);
  if (base.on(OptionId::kCheck)) {
    std::vector<const Settings*> checked;
    for (const ConfiguredTunnel& tunnel : run.tunnels) checked.push_back(&tunnel.settings);
    PrintText text{run.several ? render_check_of_several(checked) : render_check(*checked.front()),
                   std::move(run.warnings)};
    for (ConfiguredTunnel& tunnel : run.tunnels) text.checked.push_back(std::move(tunnel.profile));
    return text;
  }
  if (base.on(OptionId::kShare) && !subcommand) return share_request(std::move(run));
  if (subcommand && run.several) {
    return content_error(base.role(), printable_path(base.text(OptionId::kConfigFile)) +
                                          ": field \"tunnels\": " + std::string(subcommand->name) +
                                          " takes one tunnel");
  }
  if (subcommand) {
    ConfiguredTunnel& tunnel = run.tunnels.front();
    forget_key_files(tunnel.settings);  // the keys are in the profile
    return RunSubcommand{subcommand->id, std::move(tunnel.settings), std::move(tunnel.profile),
                         std::move(run.warnings), std::move(asked.words)};
  }
  warn_of_subcommand_flags(base, run.warnings);
  return std::move(run);
}

}  // namespace

ParsedCommand parse_command(const CommandInput& given) {
  CommandInput input = given;
  Settings settings(input.role);
  if (input.environment_key) settings.set(OptionId::kKey, *input.environment_key, Source::kEnvironment);
  std::vector<std::string> arguments = input.arguments;
  Asked asked = take_subcommand(input.role, arguments);
  auto flags = parse_flags(arguments, input.role);
  if (!flags) return usage_error(input.role, flags.error());
  for (auto& [option, value] : flags.value()) settings.set(option, std::move(value), Source::kFlag);
  if (auto text = information(input, settings)) return *text;
  if (!settings.text(OptionId::kInit).empty() && !asked.subcommand) {
    if (const auto complaint = resolve_keys(settings, input.read_key_file))
      return startup_error_of(settings, *complaint);
    forget_key_files(settings);  // the written profiles contain the keys themselves
    return std::visit([](auto&& result) -> ParsedCommand { return std::forward<decltype(result)>(result); },
                      prepare_init(std::move(settings)));
  }
  std::optional<PluginSettings> plugin;
  if (input.plugin.any()) {
    auto parsed = parse_plugin_environment(input.plugin, input.role);
    if (!parsed) return usage_error(input.role, parsed.error());
    plugin = std::move(parsed.value());
    for (auto& [option, value] : plugin->options)
      settings.set(option, std::move(value), Source::kPluginOption);
  }
  if (settings.on(OptionId::kShare) && settings.text(OptionId::kConfigFile).empty())
    settings.set(OptionId::kConfigFile, default_path(input.role), Source::kFlag);
  auto read = read_file(input, settings);
  if (auto* refusal = std::get_if<StartupError>(&read)) return std::move(*refusal);
  auto& file = std::get<FileSettings>(read);
  const Settings before = settings;
  for (auto& [option, value] : file.assignments) settings.set(option, std::move(value), Source::kFile);
  std::vector<std::string> warnings = std::move(file.warnings);
  std::ranges::move(override_warnings(before, settings), std::back_inserter(warnings));
  if (settings.on(OptionId::kPubKey)) return print_public_key(input, std::move(settings));
  if (plugin && !file.tunnels.empty())
    return content_error(input.role, printable_path(settings.text(OptionId::kConfigFile)) +
                                         ": field \"tunnels\": a shadowsocks plugin is one tunnel");
  if (plugin) apply_plugin_addresses(*plugin, settings, warnings);
  const bool local_is_open = input.role == Role::kClient &&
                             settings.source(OptionId::kLocalAddr) == Source::kDefault &&
                             !has_other_entrances(settings);
  if (file.paired && local_is_open)
    settings.set(OptionId::kLocalAddr, std::string(kOwnMachineOnly), Source::kFile);
  if (asked.subcommand && asked.subcommand->id == SubcommandId::kUser) let_users_file_be_missing(input);
  return finish(input, settings, std::move(asked), file, std::move(warnings));
}

CommandInput input_of_process(Role role, int argc, const char* const* argv,
                              std::string_view library_versions) {
  CommandInput input{.role = role,
                     .library_versions = std::string(library_versions),
                     .read_file = read_text_file,
                     .others_can_read = others_can_read,
                     .read_key_file = read_key_file,
                     .random_bytes = system_randomness};
  if (argc > 1) input.arguments.assign(argv + 1, argv + argc);
  if (const char* key = std::getenv("KCPTUN_KEY")) input.environment_key = key;
  input.plugin = plugin_environment_of_process();
  return input;
}

ParsedCommand parse_command(Role role, int argc, const char* const* argv, std::string_view library_versions) {
  return parse_command(input_of_process(role, argc, argv, library_versions));
}

bool others_can_read(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & S_IROTH) != 0;
}

Result<std::string> read_text_file(const std::string& path) {
  const Result<OpenFile> opened = open_to_read(path);
  if (!opened) return Error{opened.error()};
  const OpenFile& file = opened.value();
  std::string text;
  std::array<char, 16384> chunk;
  while (const std::size_t got = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    text.append(chunk.data(), got);
    if (text.size() > kMaxFileSize) return Error{"longer than 1 MiB"};
  }
  if (std::ferror(file.get())) return Error{std::strerror(errno)};
  return text;
}

}  // namespace kcptun
