#include "config/json_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "config/suggest.h"
#include "config/unsupported.h"

namespace kcptun {
namespace {

enum class JsonKind : std::uint8_t { kNull, kBool, kWhole, kHuge, kFraction, kString, kArray, kObject };

/// One member of the top-level object. Arrays and objects come without what is in them.
struct JsonField {
  std::string name{};
  JsonKind kind = JsonKind::kNull;
  bool on = false;
  std::int64_t whole = 0;
  std::string text{};  // a string's value, or a number as it would be shown
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

/// "3:17", both from 1. `offset` counts the bytes before the place.
std::string line_and_column(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, offset);
  const auto line = 1 + std::ranges::count(before, '\n');
  const auto newline = before.rfind('\n');
  const auto column = newline == before.npos ? before.size() + 1 : before.size() - newline;
  return std::to_string(line) + ':' + std::to_string(column);
}

constexpr std::size_t kLongestReason = 200;

/// The library's sentence without its number and position, and without the piece of the file that it quotes,
/// which may be the key.
std::string reason_of(std::string_view what) {
  const auto position = what.find(", column ");
  const auto colon = position == what.npos ? what.find("] ") : what.find(": ", position);
  std::string_view reason = colon == what.npos ? what : what.substr(colon + 2);
  return printable(reason.substr(0, reason.find("; last read: ")), kLongestReason);
}

/// Collects the members of the top-level object; remembers what else the top level was, and where the text
/// broke.
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
    if (depth_ == 1) name_ = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& fault) override {
    const std::size_t offset = position > 0 ? position - 1 : 0;
    error_ = line_and_column(text_, std::min(offset, text_.size())) + ": " + reason_of(fault.what());
    return false;
  }

  const std::string& error() const { return error_; }
  JsonKind top() const { return top_; }
  const std::vector<JsonField>& fields() const { return fields_; }

 private:
  bool add(JsonField field) {
    if (depth_ == 0) top_ = field.kind;
    if (depth_ == 1 && top_ == JsonKind::kObject) {
      field.name = name_;
      fields_.push_back(std::move(field));
    }
    return true;
  }
  bool open(JsonKind kind) {
    add({.kind = kind});
    ++depth_;
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }

  std::string_view text_;
  std::size_t depth_ = 0;
  std::string name_;
  std::string error_;
  JsonKind top_ = JsonKind::kNull;
  std::vector<JsonField> fields_;
};

std::string_view expected_kind(const Option& option) {
  if (option.kind == OptionKind::kSwitch) return "true or false";
  if (option.kind == OptionKind::kNumber) return "a whole number";
  return "a string";
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
  const bool wants_text = option.kind != OptionKind::kSwitch && option.kind != OptionKind::kNumber;
  if (wants_text && field.kind == JsonKind::kString) return Value{field.text};
  return Error{"is " + std::string(kind_name(field.kind)) + ", expected " +
               std::string(expected_kind(option))};
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

Result<FileSettings> assign_fields(const std::vector<JsonField>& fields, std::string_view file, Role role) {
  FileSettings result;
  std::set<std::string_view> seen;
  for (const auto& field : fields) {
    if (is_unsupported_field(field.name)) {
      return Error{printable_path(file) + ": field \"" + field.name + "\" " + std::string(kComesLater)};
    }
    const Option* option = find_field(field.name);
    if (!seen.insert(option ? option->json : std::string_view(field.name)).second) {
      result.warnings.push_back(printable_path(file) + ": field \"" + printable(field.name) +
                                "\" stands there more than once; the last one counts");
    }
    if (!option) {
      result.warnings.push_back(unknown_field_warning(field, file, role));
    } else if (!option->applies_to(role)) {
      result.warnings.push_back(other_role_warning(field, file, role));
    } else if (field.kind != JsonKind::kNull) {
      // KCPTUN-QUIRK: null leaves a field as it was, as Go's reader does.
      auto value = typed_value(*option, field);
      if (!value) return Error{field_message(file, *option, shown_value(field), value.error())};
      result.assignments.push_back({option->id, std::move(value.value())});
    }
  }
  return result;
}

}  // namespace

Result<FileSettings> parse_json_settings(std::string_view text, std::string_view file, Role role) {
  FieldReader reader(text);
  constexpr auto kFormat = nlohmann::json::input_format_t::json;
  constexpr bool kStrict = true, kIgnoreComments = true;  // as --init writes them
  if (!nlohmann::json::sax_parse(text, &reader, kFormat, kStrict, kIgnoreComments)) return Error{printable_path(file) + ':' + reader.error()};
  if (reader.top() != JsonKind::kObject) {
    return Error{printable_path(file) + ": the top level is " + std::string(kind_name(reader.top())) +
                 ", expected an object"};
  }
  return assign_fields(reader.fields(), file, role);
}

}  // namespace kcptun
