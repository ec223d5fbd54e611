#include "config/json_file.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "config/json_fault.h"
#include "config/suggest.h"
#include "config/text.h"

namespace kcptun {
namespace {

// Of an array. The option that takes the most strings decides.
constexpr std::size_t kMaxItems = std::max(kMaxServers, kMaxDialRules);

enum class JsonKind : std::uint8_t { kNull, kBool, kWhole, kHuge, kFraction, kString, kArray, kObject };

/// One member of the top-level object, or of a tunnel. Objects come without what is in them.
struct JsonField {
  std::string name{};
  JsonKind kind = JsonKind::kNull;
  bool on = false;
  std::int64_t whole = 0;
  std::string text{};                // a string's value, or a number as it would be shown
  std::vector<std::string> items{};  // an array's, while they are strings; at most kMaxItems + 1
  bool only_strings = true;          // of an array
};

std::string_view kind_name(JsonKind kind) {
  switch (kind) {
    case JsonKind::kNull:
      return "null";
    case JsonKind::kBool:
      return "a boolean";
    case JsonKind::kWhole:
    case JsonKind::kHuge:
    case JsonKind::kFraction:
      return "a number";
    case JsonKind::kString:
      return "a string";
    case JsonKind::kArray:
      return "an array";
    case JsonKind::kObject:
      return "an object";
  }
  return {};
}

/// The library's sentence without its number and position, and without the piece of the file that it quotes,
/// which may be the key.
std::string_view reason_of(std::string_view what) {
  const auto position = what.find(", column ");
  const auto colon = position == what.npos ? what.find("] ") : what.find(": ", position);
  std::string_view reason = colon == what.npos ? what : what.substr(colon + 2);
  return reason.substr(0, reason.find("; last read: "));
}

constexpr std::string_view kTunnels = "tunnels";

/// One element of "tunnels".
struct JsonTunnel {
  JsonKind kind = JsonKind::kNull;
  std::vector<JsonField> fields{};  // of an object
};

/// Collects the members of the top-level object, and those of the objects in its array "tunnels"; remembers
/// what else the top level was, and where the text broke.
class FieldReader : public nlohmann::json::json_sax_t {
 public:
  explicit FieldReader(std::string_view text) : text_(text) {}

  bool null() override { return add({.kind = JsonKind::kNull}); }
  bool boolean(bool on) override { return add({.kind = JsonKind::kBool, .on = on}); }
  bool number_integer(number_integer_t n) override {
    return add({.kind = JsonKind::kWhole, .whole = n, .text = std::to_string(n)});
  }
  bool number_unsigned(number_unsigned_t n) override {
    if (n > static_cast<number_unsigned_t>(INT64_MAX))
      return add({.kind = JsonKind::kHuge, .text = std::to_string(n)});
    return number_integer(static_cast<number_integer_t>(n));
  }
  bool number_float(number_float_t, const string_t& token) override {
    const bool whole = token.find_first_of(".eE") == token.npos;
    return add({.kind = whole ? JsonKind::kHuge : JsonKind::kFraction, .text = printable(token)});
  }
  bool string(string_t& value) override { return add({.kind = JsonKind::kString, .text = value}); }
  bool binary(binary_t&) override { return false; }  // not in JSON text
  bool start_object(std::size_t) override { return open(JsonKind::kObject); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(JsonKind::kArray); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (depth_ == 1 || (depth_ == 3 && in_tunnels_)) name_ = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& fault) override {
    const std::size_t offset = position > 0 ? position - 1 : 0;
    error_ = explain_json_fault(text_, std::min(offset, text_.size()), reason_of(fault.what()));
    return false;
  }

  const std::string& error() const { return error_; }
  JsonKind top() const { return top_; }
  const std::vector<JsonField>& fields() const { return fields_; }
  const std::vector<JsonTunnel>& tunnels() const { return tunnels_; }

 private:
  bool add(JsonField field) {
    field.name = name_;
    if (depth_ == 0) top_ = field.kind;
    if (depth_ == 1 && top_ == JsonKind::kObject) {
      fields_.push_back(std::move(field));
    } else if (depth_ == 2 && !in_tunnels_ && !fields_.empty()) {
      add_item(fields_.back(), field);
    } else if (depth_ == 4 && in_tunnels_ && !tunnels_.back().fields.empty()) {
      add_item(tunnels_.back().fields.back(), field);
    } else if (depth_ == 2 && in_tunnels_) {
      if (tunnels_.size() <= kMaxTunnels) tunnels_.push_back({field.kind});  // one too many is enough to know
    } else if (depth_ == 3 && in_tunnels_ && tunnels_.back().kind == JsonKind::kObject) {
      tunnels_.back().fields.push_back(std::move(field));
    }
    return true;
  }
  static void add_item(JsonField& array, JsonField& item) {
    if (array.kind != JsonKind::kArray) return;
    array.only_strings &= item.kind == JsonKind::kString;
    const bool room = array.items.size() <= kMaxItems;  // one too many is enough to know
    if (item.kind == JsonKind::kString && room) array.items.push_back(std::move(item.text));
  }
  bool open(JsonKind kind) {
    add({.kind = kind});
    if (depth_ == 1 && top_ == JsonKind::kObject && name_ == kTunnels) {
      in_tunnels_ = kind == JsonKind::kArray;
      tunnels_.clear();  // of a repeated field the last one counts
    }
    ++depth_;
    return true;
  }
  bool close() {
    if (--depth_ == 1) in_tunnels_ = false;
    return true;
  }

  std::string_view text_;
  std::size_t depth_ = 0;
  std::string name_;
  std::string error_;
  JsonKind top_ = JsonKind::kNull;
  std::vector<JsonField> fields_;
  bool in_tunnels_ = false;
  std::vector<JsonTunnel> tunnels_;
};

bool takes_array(const Option& option) {
  return option.id == OptionId::kRemoteAddr || option.kind == OptionKind::kList;
}

std::string_view expected_kind(const Option& option) {
  if (option.kind == OptionKind::kSwitch) return "true or false";
  if (option.kind == OptionKind::kNumber) return "a whole number";
  return takes_array(option) ? "a string or an array of strings" : "a string";
}

/// One or several entries, as the flag has them. A list of rules may be empty.
Result<Value> joined(const Option& option, const JsonField& array) {
  const bool may_be_empty = option.kind == OptionKind::kList;
  if (!array.only_strings || (array.items.empty() && !may_be_empty))
    return Error{may_be_empty ? "is not an array of strings" : "is not an array of one or more strings"};
  std::string text;
  for (const std::string& item : array.items) {
    if (item.find(',') != item.npos)
      return Error{std::string("has a string with a comma; each ") + (may_be_empty ? "rule" : "server") +
                   " is a string of its own"};
    text.append(text.empty() ? "" : ",").append(item.empty() ? "\"\"" : item);
  }
  return Value{text};
}

/// How the value stands in an error, and what it is.
std::string shown_value(const JsonField& field) {
  if (field.kind == JsonKind::kBool) return field.on ? "true" : "false";
  if (field.kind == JsonKind::kString) return '"' + printable(field.text) + '"';
  if (field.kind == JsonKind::kArray) return "[...]";
  if (field.kind == JsonKind::kObject) return "{...}";
  return field.text;
}

/// The error is a predicate.
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
  if (takes_array(option) && field.kind == JsonKind::kArray) return joined(option, field);
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

/// The fields of one object: of the file, or of a tunnel whose place is `where`. Appends to `warnings`.
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
      if (field.name != kTunnels) warnings.push_back(unknown_field_warning(field, where, role));
    } else if (!option->applies_to(role)) {
      warnings.push_back(other_role_warning(field, where, role));
    } else if (field.kind != JsonKind::kNull) {
      // KCPTUN-QUIRK: null leaves a field as it was, as Go's reader does.
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

/// Of a JsonTunnel's fields, before anything else of it is looked at: for the messages about the rest.
std::string raw_name_of(const JsonTunnel& tunnel) {
  std::string name;
  for (const JsonField& field : tunnel.fields)
    if (field.name == option_of(OptionId::kName).json && field.kind == JsonKind::kString) name = field.text;
  return name;
}

/// `place`: without the name. The error is about this tunnel alone.
Result<FileSettings::Tunnel> read_tunnel(const JsonTunnel& tunnel, const std::string& place, Role role,
                                         std::vector<std::string>& warnings) {
  if (tunnel.kind != JsonKind::kObject)
    return Error{printable_path(place) + " is " + std::string(kind_name(tunnel.kind)) +
                 ", expected an object"};
  const std::string name = raw_name_of(tunnel);
  FileSettings::Tunnel result{{}, name.empty() ? place : place + " (" + printable(name) + ')', {}};
  for (const JsonField& field : tunnel.fields)
    if (field.name == kTunnels)
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

/// Reads "tunnels" of the file, if it is there, into `result`.
std::optional<Error> read_tunnels(const FieldReader& reader, std::string_view file, Role role,
                                  FileSettings& result) {
  const JsonField* field = nullptr;
  for (const JsonField& one : reader.fields())
    if (one.name == kTunnels) field = &one;
  if (!field) return std::nullopt;
  const std::string where = printable_path(file) + ": field \"tunnels\"";
  if (field->kind != JsonKind::kArray)
    return Error{where + ": " + shown_value(*field) + " is " + std::string(kind_name(field->kind)) +
                 ", expected an array"};
  if (reader.tunnels().empty()) return Error{where + " is empty, expected 1.." + std::to_string(kMaxTunnels)};
  if (reader.tunnels().size() > kMaxTunnels)
    return Error{where + " has more than " + std::to_string(kMaxTunnels) + " tunnels"};
  for (std::size_t i = 0; i < reader.tunnels().size(); ++i) {
    const std::string place = std::string(file) + ": tunnels[" + std::to_string(i) + ']';
    auto tunnel = read_tunnel(reader.tunnels()[i], place, role, result.warnings);
    if (!tunnel) return Error{tunnel.error()};
    result.tunnels.push_back(std::move(tunnel.value()));
  }
  return find_same_name(result.tunnels);
}

// KCPTUN-QUIRK: as Go's reader, which stops behind the first value and reads what is not UTF-8 as U+FFFD.
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
  FieldReader reader(text);
  constexpr auto kFormat = nlohmann::json::input_format_t::json;
  constexpr bool kStrict = true, kIgnoreComments = true;  // as --init writes them
  if (!nlohmann::json::sax_parse(text, &reader, kFormat, kStrict, kIgnoreComments))
    return Error{printable_path(file) + ':' + reader.error() + (is_utf8 ? "" : "; the file is not in UTF-8")};
  if (reader.top() != JsonKind::kObject) {
    return Error{printable_path(file) + ": the top level is " + std::string(kind_name(reader.top())) +
                 ", expected an object"};
  }
  auto assignments = assign_fields(reader.fields(), file, role, result.warnings);
  if (!assignments) return Error{assignments.error()};
  result.assignments = std::move(assignments.value());
  if (const auto error = read_tunnels(reader, file, role, result)) return *error;
  return result;
}

}  // namespace kcptun
