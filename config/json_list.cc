#include "config/json_list.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "config/users.h"

namespace kcptun {
namespace {

constexpr std::string_view kListenMember = "listen";
constexpr std::string_view kTargetMember = "target";

// Each entry is an object with these two members.
bool has_pairs(const Option& option) {
  return option.id == OptionId::kForward || option.id == OptionId::kReverse;
}

/// Converts {"listen": ..., "target": ...} to the flag's text.
Result<std::string> text_of_forward(const JsonItem& item) {
  std::optional<std::string> listen, target;
  for (const JsonItem::Member& member : item.members) {
    if (member.name != kListenMember && member.name != kTargetMember)
      return Error{"has an object with " + in_quotes(member.name) + ", expected \"listen\" and \"target\""};
    auto& to = member.name == kListenMember ? listen : target;
    if (member.kind != JsonKind::kString)
      return Error{"has an object whose " + in_quotes(member.name) + " is " +
                   std::string(kind_name(member.kind)) + ", expected a string"};
    if (to) return Error{"has an object with two " + in_quotes(member.name)};
    to = member.text;
  }
  if (!listen) return Error{"has an object without \"listen\""};
  if (listen->find('=') != listen->npos)
    return Error{"has an object whose \"listen\" has an =, which separates it from the target"};
  return target ? *listen + '=' + *target : *listen;
}

Result<std::string> text_of_item(const Option& option, const JsonItem& item) {
  if (item.kind == JsonKind::kString) return item.text;
  const bool objects = has_pairs(option);
  const bool users = option.id == OptionId::kUsers;
  if (objects && item.kind == JsonKind::kObject) return text_of_forward(item);
  if (users && item.kind == JsonKind::kObject) return entry_of_user(item);
  return Error{objects ? "is not an array of objects with \"listen\" and \"target\""
               : users ? "is not an array of objects with \"name\" and \"key\""
               : option.kind == OptionKind::kList ? "is not an array of strings"
                                                  : "is not an array of one or more strings"};
}

nlohmann::ordered_json json_of_entry(const Option& option, const std::string& entry) {
  if (option.id == OptionId::kUsers) return json_of_user(entry);
  if (!has_pairs(option)) return entry;
  nlohmann::ordered_json object;
  const auto equals = entry.find('=');
  object[std::string(kListenMember)] = entry.substr(0, equals);
  if (equals != entry.npos) object[std::string(kTargetMember)] = entry.substr(equals + 1);
  return object;
}

}  // namespace

std::string in_quotes(std::string_view name) { return '"' + printable(name) + '"'; }

Result<Value> text_of_array(const Option& option, const JsonField& array) {
  const bool list = option.kind == OptionKind::kList;
  if (array.items.empty() && !list) return Error{"is not an array of one or more strings"};
  std::string text;
  for (const JsonItem& item : array.items) {
    const auto entry = text_of_item(option, item);
    if (!entry) return Error{entry.error()};
    if (entry.value().find(',') != std::string::npos)
      return Error{list ? "has an entry with a comma; each entry is an element of its own"
                        : "has a string with a comma; each server is a string of its own"};
    text.append(&item == &array.items.front() ? "" : ",");
    text.append(entry.value().empty() && !list ? "\"\"" : entry.value());
  }
  return Value{text};
}

nlohmann::ordered_json json_of_value(const Option& option, const Value& value) {
  if (option.kind != OptionKind::kList)
    return std::visit([](const auto& v) { return nlohmann::ordered_json(v); }, value);
  auto array = nlohmann::ordered_json::array();
  const auto& text = std::get<std::string>(value);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    array.push_back(json_of_entry(option, text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return array;
}

}  // namespace kcptun
