#include "config/json_file.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "config/json_fault.h"
#include "config/json_fields.h"
#include "config/json_list.h"
#include "config/suggest.h"
#include "config/text.h"

namespace kcptun {
namespace {

std::string_view expected_kind(const Option& option) {
  if (option.kind == OptionKind::kSwitch) return "true or false";
  if (option.kind == OptionKind::kNumber) return "a whole number";
  if (option.kind == OptionKind::kList) return "an array";
  return option.id == OptionId::kRemoteAddr ? "a string or an array of strings" : "a string";
}

/// The value as errors show it.
std::string shown_value(const JsonField& field) {
  if (field.kind == JsonKind::kBool) return field.on ? "true" : "false";
  if (field.kind == JsonKind::kString) return '"' + printable(field.text) + '"';
  if (field.kind == JsonKind::kArray) return "[...]";
  if (field.kind == JsonKind::kObject) return "{...}";
  return field.text;
}

/// Converts the field to the option's type. The error is a predicate.
Result<Value> typed_value(const Option& option, const JsonField& field) {
  if (option.kind == OptionKind::kSwitch && field.kind == JsonKind::kBool) return Value{field.on};
  if (option.kind == OptionKind::kNumber && field.kind == JsonKind::kWhole) return Value{field.whole};
  if (option.kind == OptionKind::kNumber && field.kind == JsonKind::kHuge) {
    return Error{"is out of range " + value_hint(option)};
  }
  const bool is_word = field.kind == JsonKind::kString && !option.word.empty() && field.text == option.word;
  if (option.kind == OptionKind::kNumber && is_word) return Value{field.text};
  const bool wants_text = option.kind != OptionKind::kSwitch && option.kind != OptionKind::kNumber;
  if (wants_text && field.kind == JsonKind::kString) return Value{field.text};
  const bool takes_array = option.id == OptionId::kRemoteAddr || option.kind == OptionKind::kList;
  if (takes_array && field.kind == JsonKind::kArray) return text_of_array(option, field);
  std::string expected(expected_kind(option));
  if (!option.word.empty()) expected.append(" or \"").append(option.word).append("\"");
  return Error{"is " + std::string(kind_name(field.kind)) + ", expected " + expected};
}

std::string unknown_field_warning(const JsonField& field, std::string_view file, Role role) {
  std::vector<std::string_view> known;
  for (const auto& option : all_options()) {
    if (option.applies_to(role) && !option.json.empty()) known.push_back(option.json);
  }
  const Option* by_flag = find_flag(role, field.name);
  const auto nearest = by_flag && !by_flag->json.empty() ? by_flag->json : nearest_name(field.name, known);
  std::string warning = printable_path(file) + ": unknown field \"" + printable(field.name) + "\" is ignored";
  if (!nearest.empty()) warning.append(" (did you mean \"").append(nearest).append("\"?)");
  return warning;
}

std::string other_role_warning(const JsonField& field, std::string_view file, Role role) {
  const auto other = role == Role::kClient ? Role::kServer : Role::kClient;
  return printable_path(file) + ": field \"" + printable(field.name) + "\" is for " +
         std::string(program_name(other)) + " and is ignored";
}

/// Converts the fields of one object, the file's or a tunnel's. `where` names it in messages. Appends to
/// `warnings`.
Result<FileSettings::Assignments> assign_fields(const std::vector<JsonField>& fields, std::string_view where,
                                                Role role, std::vector<std::string>& warnings) {
  FileSettings::Assignments assignments;
  std::set<std::string_view> seen;
  for (const auto& field : fields) {
    const Option* option = find_field(field.name);
    if (!seen.insert(option ? option->json : std::string_view(field.name)).second) {
      warnings.push_back(printable_path(where) + ": field \"" + printable(field.name) +
                         "\" stands there more than once; the last one counts");
    }
    if (!option) {
      if (field.name != kTunnelsField) warnings.push_back(unknown_field_warning(field, where, role));
    } else if (!option->applies_to(role)) {
      warnings.push_back(other_role_warning(field, where, role));
    } else if (field.kind != JsonKind::kNull) {
      // KCPTUN-QUIRK: a null leaves the option unchanged, as Go's decoder does.
      auto value = typed_value(*option, field);
      if (!value) return Error{field_message(where, *option, shown_value(field), value.error())};
      assignments.push_back({option->id, std::move(value.value())});
    }
  }
  return assignments;
}

std::string name_of(const FileSettings::Assignments& assignments) {
  std::string name;
  for (const auto& [option, value] : assignments)
    if (option == OptionId::kName) name = std::get<std::string>(value);
  return name;
}

/// The tunnel's name before validation, for messages about its other fields.
std::string raw_name_of(const JsonTunnel& tunnel) {
  std::string name;
  for (const JsonField& field : tunnel.fields)
    if (field.name == option_of(OptionId::kName).json && field.kind == JsonKind::kString) name = field.text;
  return name;
}

/// `place` excludes the tunnel's name. Does not compare the tunnel with others.
Result<FileSettings::Tunnel> read_tunnel(const JsonTunnel& tunnel, const std::string& place, Role role,
                                         std::vector<std::string>& warnings) {
  if (tunnel.kind != JsonKind::kObject)
    return Error{printable_path(place) + " is " + std::string(kind_name(tunnel.kind)) +
                 ", expected an object"};
  const std::string name = raw_name_of(tunnel);
  FileSettings::Tunnel result{{}, name.empty() ? place : place + " (" + printable(name) + ')', {}};
  for (const JsonField& field : tunnel.fields)
    if (field.name == kTunnelsField)
      return Error{printable_path(result.place) + " has tunnels inside, which cannot be"};
  auto assignments = assign_fields(tunnel.fields, result.place, role, warnings);
  if (!assignments) return Error{assignments.error()};
  result.assignments = std::move(assignments.value());
  result.name = name_of(result.assignments);
  if (result.name.empty())
    return Error{printable_path(result.place) +
                 ": field \"name\" is missing; each tunnel needs a name of its own"};
  for (const auto& [option, value] : result.assignments)
    if (is_process_wide(option))
      return Error{printable_path(result.place) + ": field \"" + std::string(option_of(option).json) +
                   "\" is of the whole process and belongs beside \"tunnels\""};
  return result;
}

std::optional<Error> find_same_name(const std::vector<FileSettings::Tunnel>& tunnels) {
  std::map<std::string_view, std::size_t> seen;
  for (std::size_t i = 0; i < tunnels.size(); ++i) {
    const auto [first, is_new] = seen.emplace(tunnels[i].name, i);
    if (!is_new)
      return Error{printable_path(tunnels[i].place) + ": field \"name\": \"" + printable(tunnels[i].name) +
                   "\" is the name of tunnels[" + std::to_string(first->second) + "] too"};
  }
  return std::nullopt;
}

/// Reads the field "tunnels", if present, into `result`.
std::optional<Error> read_tunnels(const JsonText& read, std::string_view file, Role role,
                                  FileSettings& result) {
  const JsonField* field = nullptr;
  for (const JsonField& one : read.fields)
    if (one.name == kTunnelsField) field = &one;
  if (!field) return std::nullopt;
  const std::string where = printable_path(file) + ": field \"tunnels\"";
  if (field->kind != JsonKind::kArray)
    return Error{where + ": " + shown_value(*field) + " is " + std::string(kind_name(field->kind)) +
                 ", expected an array"};
  if (read.tunnels.empty()) return Error{where + " is empty, expected 1.." + std::to_string(kMaxTunnels)};
  if (read.tunnels.size() > kMaxTunnels)
    return Error{where + " has more than " + std::to_string(kMaxTunnels) + " tunnels"};
  for (std::size_t i = 0; i < read.tunnels.size(); ++i) {
    const std::string place = std::string(file) + ": tunnels[" + std::to_string(i) + ']';
    auto tunnel = read_tunnel(read.tunnels[i], place, role, result.warnings);
    if (!tunnel) return Error{tunnel.error()};
    result.tunnels.push_back(std::move(tunnel.value()));
  }
  return find_same_name(result.tunnels);
}

// KCPTUN-QUIRK: Go's decoder ignores text after the first value and decodes invalid UTF-8 as U+FFFD.
std::string text_behind_warning(std::string_view text, std::size_t behind, std::string_view file) {
  return printable_path(file) + ':' + line_and_column(text, behind) + ": text behind the object is ignored";
}

std::string not_utf8_warning(std::string_view text, std::string_view file) {
  std::size_t at = 0;
  for (Character c = first_character(text); c.valid(); c = first_character(text.substr(at))) at += c.size;
  return printable_path(file) + ':' + line_and_column(valid_utf8(text.substr(0, at)), at) +
         ": bytes that are not UTF-8 are read as U+FFFD, as Go's kcptun does; save the file as UTF-8";
}

}  // namespace

Result<FileSettings> parse_json_settings(std::string_view given, std::string_view file, Role role) {
  FileSettings result;
  const std::string readable = valid_utf8(given);
  const bool is_utf8 = readable == given;
  if (!is_utf8) result.warnings.push_back(not_utf8_warning(given, file));
  const std::size_t behind = find_text_behind(readable);
  if (behind < readable.size()) result.warnings.push_back(text_behind_warning(readable, behind, file));
  const std::string_view text = std::string_view(readable).substr(0, behind);
  const auto read = read_json_text(text);
  if (!read)
    return Error{printable_path(file) + ':' + read.error() + (is_utf8 ? "" : "; the file is not in UTF-8")};
  if (read.value().top != JsonKind::kObject) {
    return Error{printable_path(file) + ": the top level is " + std::string(kind_name(read.value().top)) +
                 ", expected an object"};
  }
  auto assignments = assign_fields(read.value().fields, file, role, result.warnings);
  if (!assignments) return Error{assignments.error()};
  result.assignments = std::move(assignments.value());
  if (const auto error = read_tunnels(read.value(), file, role, result)) return *error;
  return result;
}

}  // namespace kcptun
