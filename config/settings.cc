#include "config/settings.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

#include "config/exit_codes.h"
#include "config/plugin.h"
#include "config/text.h"
#include "core/base/check.h"

namespace kcptun {
namespace {

// A pairing string has the key behind its scheme, and other URLs may have a password there.
constexpr std::string_view kBehindScheme = "://";

// The values of Go's strconv.ParseBool.
std::optional<bool> parse_bool(std::string_view text) {
  constexpr std::array<std::string_view, 6> kTrue{"1", "t", "T", "TRUE", "true", "True"};
  constexpr std::array<std::string_view, 6> kFalse{"0", "f", "F", "FALSE", "false", "False"};
  if (std::ranges::find(kTrue, text) != kTrue.end()) return true;
  if (std::ranges::find(kFalse, text) != kFalse.end()) return false;
  return std::nullopt;
}

bool starts_as_hex(std::string_view digits) { return digits.starts_with("0x") || digits.starts_with("0X"); }

Result<Value> parse_number(const Option& option, std::string_view text) {
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  const int base = starts_as_hex(digits) ? 16 : 10;
  if (base == 16) digits.remove_prefix(2);
  // Go reads 010 as eight, most users as ten. It is rejected, because either reading may be wrong.
  const bool ambiguous = base == 10 && digits.size() > 1 && digits.front() == '0';
  std::int64_t magnitude = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, magnitude, base);
  if (ambiguous || digits.starts_with('-') || stop != end || error == std::errc::invalid_argument) {
    return Error{"is not a whole number"};
  }
  if (error == std::errc::result_out_of_range) return Error{"is out of range " + value_hint(option)};
  return Value{negative ? -magnitude : magnitude};
}

Value default_value(const Option& option, Role role) {
  const std::string_view text = option.default_for(role);
  if (option.kind == OptionKind::kSwitch) return Value{!text.empty()};
  if (option.kind != OptionKind::kNumber) return Value{std::string(text)};
  if (text.empty()) return Value{std::int64_t{0}};  // for the other role
  const auto number = parse_number(option, text);
  KCPTUN_CHECK(number.ok());
  return number.value();
}

std::string shown_on_command_line(const Value& value) {
  if (const bool* on = std::get_if<bool>(&value)) return *on ? "" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  return std::get<std::string>(value);
}

/// Shows the URLs of a list whole, because they are addresses. Other text is cut behind a scheme, because it
/// may contain a password or a pairing string.
std::string shown_text(const Option& option, std::string_view text) {
  constexpr std::size_t kLongest = 400;
  if (option.kind != OptionKind::kList || text.find("kcptun://") != text.npos) return printable(text);
  for (auto at = text.find('@'); at != text.npos; at = text.find('@', at + 1))
    if (!text.substr(0, at).ends_with(kBehindScheme)) return printable(text);
  return escaped(text, kLongest);
}

std::string shown_in_file(const Option& option, const Value& value) {
  if (const bool* on = std::get_if<bool>(&value)) return *on ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  return '"' + shown_text(option, std::get<std::string>(value)) + '"';
}

std::string prefixed(Role role, std::string_view message) {
  return std::string(program_name(role)).append(": ").append(message);
}

}  // namespace

Settings::Settings(Role role) : role_(role) {
  for (const auto& option : all_options()) set(option.id, default_value(option, role), Source::kDefault);
}

void Settings::set(OptionId id, Value value, Source source) {
  settings_[static_cast<std::size_t>(id)] = Setting{std::move(value), source};
}

Result<Value> value_from_text(const Option& option, std::string_view text) {
  const bool is_word = !option.word.empty() && text == option.word;
  if (option.kind == OptionKind::kNumber && !is_word) return parse_number(option, text);
  if (option.kind != OptionKind::kSwitch) return Value{std::string(text)};
  const auto on = parse_bool(text);
  if (!on) return Error{"must be true or false"};
  return Value{*on};
}

StartupError usage_error(Role role, std::string_view message) {
  return {prefixed(role, message), kExitUsage};
}

StartupError content_error(Role role, std::string_view message) {
  return {prefixed(role, message), kExitConfig};
}

StartupError startup_error_of(const Settings& settings, const ValidationError& complaint) {
  const Option& option = option_of(complaint.option);
  const Value value = complaint.entry.empty() ? settings.value(complaint.option) : Value{complaint.entry};
  const Source source = settings.source(complaint.option);
  if (source == Source::kFile || source == Source::kTunnel) {
    const auto& file = source == Source::kTunnel ? settings.place() : settings.text(OptionId::kConfigFile);
    return content_error(settings.role(),
                         field_message(file, option, shown_in_file(option, value), complaint.predicate));
  }
  const std::string shown = shown_on_command_line(value);
  if (settings.source(complaint.option) == Source::kPluginOption) {
    return usage_error(settings.role(), plugin_option_message(option, complaint.predicate));
  }
  return usage_error(settings.role(), flag_message(option, shown, complaint.predicate));
}

std::string flag_message(const Option& option, std::string_view value, std::string_view predicate) {
  std::string message = option.flag.size() == 1 ? "-" : "--";
  message += option.flag;
  if (is_secret(option.id)) value = kHiddenValue;
  const bool no_value = option.kind == OptionKind::kSwitch && value.empty();
  if (!no_value) message += value.empty() ? " \"\"" : ' ' + shown_text(option, value);
  if (predicate.starts_with("is ")) predicate.remove_prefix(3);
  return message.append(": ").append(predicate);
}

std::string field_message(std::string_view file, const Option& option, std::string_view value,
                          std::string_view predicate) {
  if (is_secret(option.id)) value = kHiddenValue;
  std::string message = printable_path(file) + ": field \"" + std::string(option.json) + "\": ";
  return message.append(value).append(" ").append(predicate);
}

std::string shown_value(const Option& option, const Value& value) {
  return is_secret(option.id) ? std::string(kHiddenValue) : shown_in_file(option, value);
}

std::string printable(std::string_view text, std::size_t longest) {
  if (const auto url = text.find(kBehindScheme); url != text.npos)
    longest = std::min(longest, url + kBehindScheme.size());
  return escaped(text, longest);
}

std::string escaped(std::string_view text, std::size_t longest) {
  std::string shown;
  const auto is_c1 = [&](std::size_t at) {  // U+0080 to U+009F are control characters for terminals too
    return text.substr(at, 2) >= "\xc2\x80" && text.substr(at, 2) <= "\xc2\x9f";
  };
  for (std::size_t i = 0; i < std::min(text.size(), longest); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool control = byte < 0x20 || byte == 0x7f || is_c1(i) || (i > 0 && is_c1(i - 1));
    if (!control) {
      shown += text[i];
      continue;
    }
    std::array<char, 5> escaped{};
    std::snprintf(escaped.data(), escaped.size(), "\\x%02x", byte);
    shown += escaped.data();
  }
  if (text.size() > longest) shown += "...";
  return shown;
}

std::string printable_path(std::string_view path) { return printable(path, path.size()); }

}  // namespace kcptun
