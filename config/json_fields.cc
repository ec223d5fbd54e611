#include "config/json_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/json_fault.h"
#include "config/json_file.h"
#include "config/text.h"

namespace kcptun {
namespace {

/// The library's sentence without its number and position, and without the piece of the file that it quotes,
/// which may be the key.
std::string_view reason_of(std::string_view what) {
  const auto position = what.find(", column ");
  const auto colon = position == what.npos ? what.find("] ") : what.find(": ", position);
  std::string_view reason = colon == what.npos ? what : what.substr(colon + 2);
  return reason.substr(0, reason.find("; last read: "));
}

/// Collects the members of the top-level object and of the objects in its array "tunnels". Also stores the
/// kind of the top-level value and the first syntax error.
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
    if (depth_ == 1 || (depth_ == 3 && in_tunnels_)) {
      name_ = name;
    } else if (depth_ == item_depth() + 1) {
      member_name_ = name;
    }
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& fault) override {
    const std::size_t offset = position > 0 ? position - 1 : 0;
    error_ = explain_json_fault(text_, std::min(offset, text_.size()), reason_of(fault.what()));
    return false;
  }

  const std::string& error() const { return error_; }
  JsonText take() { return std::move(read_); }

 private:
  // The nesting depth of the elements of a field's array.
  std::size_t item_depth() const { return in_tunnels_ ? 4 : 2; }

  bool add(JsonField field) {
    if (depth_ == 0) read_.top = field.kind;
    if (depth_ >= item_depth() && depth_ <= item_depth() + 2) {
      if (std::vector<JsonField>* fields = open_fields()) add_inside(fields->back(), field);
      return true;
    }
    field.name = name_;
    if (depth_ == 1 && read_.top == JsonKind::kObject) {
      read_.fields.push_back(std::move(field));
    } else if (depth_ == 2 && in_tunnels_) {
      // One element above the limit is enough for the error.
      if (read_.tunnels.size() <= kMaxTunnels) read_.tunnels.push_back({field.kind});
    } else if (depth_ == 3 && in_tunnels_ && read_.tunnels.back().kind == JsonKind::kObject) {
      read_.tunnels.back().fields.push_back(std::move(field));
    }
    return true;
  }
  // The fields of the object that is being read; null if it has none yet.
  std::vector<JsonField>* open_fields() {
    std::vector<JsonField>& fields = in_tunnels_ ? read_.tunnels.back().fields : read_.fields;
    return fields.empty() ? nullptr : &fields;
  }
  void add_inside(JsonField& array, JsonField& value) {
    if (array.kind != JsonKind::kArray) return;
    if (depth_ == item_depth()) {
      item_is_kept_ = array.items.size() < JsonField::kMaxItems;
      if (item_is_kept_) array.items.push_back({value.kind, std::move(value.text)});
      return;
    }
    if (!item_is_kept_ || array.items.empty() || array.items.back().kind != JsonKind::kObject) return;
    auto& members = array.items.back().members;
    if (depth_ == item_depth() + 2) return add_element(members, value);
    member_is_kept_ = members.size() < JsonItem::kMaxMembers;
    if (member_is_kept_) members.push_back({member_name_, value.kind, std::move(value.text)});
  }
  void add_element(std::vector<JsonItem::Member>& members, JsonField& value) {
    if (!member_is_kept_ || members.empty() || members.back().kind != JsonKind::kArray) return;
    auto& elements = members.back().elements;
    if (elements.size() < JsonItem::kMaxElements) elements.push_back({value.kind, std::move(value.text)});
  }
  bool open(JsonKind kind) {
    add({.kind = kind});
    if (depth_ == 1 && read_.top == JsonKind::kObject && name_ == kTunnelsField) {
      in_tunnels_ = kind == JsonKind::kArray;
      read_.tunnels.clear();  // the last value of a repeated field applies
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
  std::string name_;         // the current field
  std::string member_name_;  // the current member of an object in the field's array
  bool item_is_kept_ = false;
  bool member_is_kept_ = false;
  std::string error_;
  bool in_tunnels_ = false;
  JsonText read_;
};

}  // namespace

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

Result<JsonText> read_json_text(std::string_view text) {
  FieldReader reader(text);
  constexpr auto kFormat = nlohmann::json::input_format_t::json;
  constexpr bool kStrict = true, kIgnoreComments = true;  // --init writes comments
  if (!nlohmann::json::sax_parse(text, &reader, kFormat, kStrict, kIgnoreComments))
    return Error{reader.error()};
  return reader.take();
}

Result<JsonText> read_json_object(std::string text, std::string_view expected) {
  const auto readable = text_of_file(std::move(text));
  if (!readable) return Error{readable.error()};
  auto read = read_json_text(readable.value());
  if (!read) return Error{"has an error at " + read.error()};
  if (read.value().top == JsonKind::kObject) return read;
  return Error{"is " + std::string(kind_name(read.value().top)) + ", expected " + std::string(expected)};
}

}  // namespace kcptun
