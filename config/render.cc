#include "config/render.h"

#include <cctype>

#include "config/base64url.h"
#include "config/subcommands.h"

namespace kcptun {
namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kHelpColumn = 26;

std::string_view placeholder(const Option& option) {
  switch (option.kind) {
    case OptionKind::kSwitch:
      return "";
    case OptionKind::kNumber:
      return " N";
    case OptionKind::kAddress:
      return " ADDRESS";
    case OptionKind::kChoice:
      return " NAME";
    case OptionKind::kList:
      if (option.id == OptionId::kReverse) return " LISTEN=TARGET";
      if (option.id == OptionId::kUsers) return " NAME=KEY";
      return option.id == OptionId::kForward ? " LISTEN[=TARGET]" : " RULE";
    case OptionKind::kText:
      break;
  }
  if (is_secret(option.id)) return " SECRET";
  if (option.id == OptionId::kUser || option.id == OptionId::kName || option.id == OptionId::kLocalGroup)
    return " NAME";
  if (option.id == OptionId::kInterface) return " NAME";
  if (option.id == OptionId::kLocalMode) return " MODE";
  if (option.id == OptionId::kBind) return " ADDRESS";
  if (option.id == OptionId::kServerKey) return " KEY";
  return " FILE";
}

std::string flag_names(const Option& option) {
  const auto with_dashes = [](std::string_view name) {
    return (name.size() == 1 ? "-" : "--") + std::string(name);
  };
  std::string names = with_dashes(option.flag);
  if (!option.alias.empty()) names += ", " + with_dashes(option.alias);
  return names;
}

/// Returns "help text: hint (default: x)".
std::string explanation(const Option& option, Role role) {
  std::string text = help_of(option);
  if (option.kind == OptionKind::kChoice) text += ": " + value_hint(option);
  const bool number = option.kind == OptionKind::kNumber;
  const auto preset = option.default_for(role);
  if (number) text += " (" + value_hint(option) + ", default " + std::string(preset) + ')';
  if (!number && !preset.empty()) text += " (default: \"" + std::string(preset) + "\")";
  return text;
}

/// Appends `text` word by word from `column` on. Continuation lines begin at kHelpColumn.
void append_wrapped(std::string& out, std::string_view text, std::size_t column) {
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(' '));
    if (column > kHelpColumn && column + 1 + word.size() > kColumns) {
      out += '\n' + std::string(kHelpColumn, ' ');
      column = kHelpColumn;
    } else if (column > kHelpColumn) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  out += '\n';
}

void append_option(std::string& out, const Option& option, Role role) {
  std::string left = "  " + flag_names(option).append(placeholder(option));
  if (left.size() + 2 > kHelpColumn) {
    out += left + '\n';
    left.clear();
  }
  left.resize(kHelpColumn, ' ');
  out += left;
  append_wrapped(out, explanation(option, role), kHelpColumn);
}

void append_group(std::string& out, OptionGroup group, Role role) {
  out += '\n' + std::string(group_title(group)) + ":\n";
  for (const auto& option : all_options()) {
    if (option.group == group && option.applies_to(role)) append_option(out, option, role);
  }
}

/// Returns "`128` / `1024`" for client and server, or one value if they are equal.
std::string markdown_default(const Option& option) {
  const auto quoted = [](std::string_view text) {
    return text.empty() ? "-" : '`' + std::string(text) + '`';
  };
  if (option.role == OptionRole::kClient) return quoted(option.client_default);
  if (option.role == OptionRole::kServer) return quoted(option.server_default);
  if (option.client_default == option.server_default) {
    return option.kind == OptionKind::kSwitch ? "off" : quoted(option.client_default);
  }
  return quoted(option.client_default) + " / " + quoted(option.server_default);
}

std::string_view role_word(OptionRole role) {
  if (role == OptionRole::kClient) return "client";
  return role == OptionRole::kServer ? "server" : "both";
}

std::string markdown_row(const Option& option) {
  const std::string field = option.json.empty() ? "-" : '`' + std::string(option.json) + '`';
  std::string hint = value_hint(option);
  if (hint.empty()) hint = option.kind == OptionKind::kSwitch ? "switch" : "text";
  if (option.kind == OptionKind::kAddress) hint = "address";
  if (option.kind == OptionKind::kList) hint = "list";
  std::string row = "| `" + flag_names(option) + "` | " + field + " | ";
  return row + std::string(role_word(option.role)) + " | " + hint + " | " + markdown_default(option) + " | " +
         help_of(option) + " |\n";
}

/// Text as one or more input lines of mdoc(7): escapes backslashes, and control characters at the beginning
/// of a line.
std::string mdoc_text(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '\\' ? std::string("\\e") : std::string(1, c);
  if (!out.empty() && (out.front() == '.' || out.front() == '\'')) out.insert(0, "\\&");
  return out;
}

/// A literal value on its own macro line, followed by a punctuation mark.
std::string mdoc_literal(std::string_view value, std::string_view mark) {
  return ".Ql \"" + mdoc_text(value) + "\"" + (mark.empty() ? "" : ' ' + std::string(mark)) + '\n';
}

std::string mdoc_placeholder(const Option& option) {
  std::string word(placeholder(option));
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word.empty() ? "" : " Ar" + word;
}

/// Returns "Fl -crypt Ar name" with the alias behind it.
std::string mdoc_flags(const Option& option) {
  const auto flag = [&](std::string_view name) {
    return (name.size() == 1 ? "Fl " : "Fl -") + std::string(name) + mdoc_placeholder(option);
  };
  return flag(option.flag) + (option.alias.empty() ? "" : " , " + flag(option.alias));
}

/// The default. A field of both programs shows both values if they differ.
std::string mdoc_default(const Option& option, std::string_view client, std::string_view server) {
  if (option.kind == OptionKind::kSwitch || (client.empty() && server.empty())) return {};
  std::string out = "The default is\n";
  if (client == server || server.empty() || client.empty())
    return out + mdoc_literal(client.empty() ? server : client, ".");
  return out + mdoc_literal(client, "") + "on the client and\n" + mdoc_literal(server, "") +
         "on the server.\n";
}

/// The body of one entry: the help as a sentence, the values and the default.
std::string mdoc_body(const Option& option, std::string_view client, std::string_view server) {
  std::string out = mdoc_text(help_of(option));
  out.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(out.front())));
  out += ".\n";
  const auto hint = value_hint(option);
  if (!hint.empty()) {
    const bool number = option.kind == OptionKind::kNumber;
    out += (number ? "Values: " : "One of ") + mdoc_text(hint) + ".\n";
  }
  return out + mdoc_default(option, client, server);
}

/// All groups that have entries, each under its title. entry(option) returns "" to omit an option.
template <typename Entry>
std::string mdoc_groups(Entry entry) {
  std::string out;
  for (auto group = OptionGroup::kAddresses; group != OptionGroup::kHidden;
       group = static_cast<OptionGroup>(static_cast<int>(group) + 1)) {
    std::string entries;
    for (const auto& option : all_options()) {
      if (option.group == group) entries += entry(option);
    }
    if (entries.empty()) continue;
    out += ".Ss " + std::string(group_title(group)) + "\n.Bl -tag -width Ds\n" + entries + ".El\n";
  }
  return out;
}

std::string_view json_type(const Option& option) {
  if (option.kind == OptionKind::kSwitch) return "boolean";
  if (option.kind == OptionKind::kList) return "array";
  return option.kind == OptionKind::kNumber ? "number" : "string";
}

}  // namespace

std::string render_help(Role role) {
  const std::string program(program_name(role));
  std::string out = "Usage: " + program + " [flags]\n";
  for (const auto& command : all_subcommands()) {
    if (find_subcommand(role, command.name) == nullptr) continue;
    out += "       " + program + ' ' + std::string(command.name) + ' ' + std::string(command.usage) +
           "\n         " + std::string(command.help) + '\n';
  }
  out += '\n';
  out += role == Role::kClient
             ? "Carries TCP connections to a kcptun server over UDP.\n"
             : "Takes tunnels from kcptun clients over UDP and connects them to a target.\n";
  out += "-flag value, -flag=value, --flag value and --flag=value are all the same.\n";
  for (auto group = OptionGroup::kAddresses; group != OptionGroup::kHidden;
       group = static_cast<OptionGroup>(static_cast<int>(group) + 1)) {
    append_group(out, group, role);
  }
  return out;
}

std::string render_markdown() {
  std::string out = "| flag | JSON field | side | values | default (client / server) | meaning |\n";
  out += "|---|---|---|---|---|---|\n";
  for (const auto& option : all_options()) {
    if (option.group != OptionGroup::kHidden) out += markdown_row(option);
  }
  return out;
}

std::string render_man(Role role) {
  return mdoc_groups([role](const Option& option) -> std::string {
    if (!option.applies_to(role)) return {};
    const auto preset = option.default_for(role);
    return ".It " + mdoc_flags(option) + '\n' + mdoc_body(option, preset, preset);
  });
}

std::string render_man_json() {
  return mdoc_groups([](const Option& option) -> std::string {
    if (option.json.empty()) return {};
    std::string title = ".It Cm " + std::string(option.json) + " Pq " + std::string(json_type(option));
    if (option.role != OptionRole::kBoth) title += ", " + std::string(role_word(option.role)) + " only";
    return title + '\n' + mdoc_body(option, option.client_default, option.server_default);
  });
}

std::string render_key(const std::array<std::uint8_t, 32>& bytes) {
  return to_base64url({reinterpret_cast<const char*>(bytes.data()), bytes.size()}) + '\n';
}

std::string render_version(std::string_view library_versions) {
  std::string out = "kcptun version " KCPTUN_VERSION " kcptun-uv";
  if (!library_versions.empty()) out.append(" (").append(library_versions).append(")");
  return out + '\n';
}

}  // namespace kcptun
