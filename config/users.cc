#include "config/users.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "config/day.h"
#include "config/entry_list.h"
#include "config/json_list.h"
#include "config/key_file.h"
#include "config/quota.h"
#include "config/static_key.h"
#include "config/text.h"
#include "config/whole_number.h"

namespace kcptun {
namespace {

using enum OptionId;

constexpr std::int64_t kMaxUserRate = 4294967295;  // bytes per second, as of ratelimit
constexpr char kBetweenFields = ';';
constexpr char kBetweenRules = '+';
constexpr std::string_view kUsersField = "users";
constexpr std::string_view kNameField = "name", kKeyField = "key", kAllowField = "allow",
                           kRateField = "ratelimit", kQuotaField = "quota", kExpiresField = "expires";
constexpr std::string_view kFieldsBehindKey = "allow, ratelimit, quota or expires";

std::optional<std::string> fault_of_name(std::string_view name) {
  if (!name.empty() && is_name(name)) return std::nullopt;
  return "has the name " + in_quotes(name) + ", which must be 1.." + std::to_string(kMaxNameSize) +
         " letters, digits, dots, underscores and hyphens";
}

std::string with(std::string_view text, char from, char to) {
  std::string out(text);
  std::ranges::replace(out, from, to);
  return out;
}

/// Sets one field behind the key. The error is a predicate.
std::optional<std::string> set_field(User& user, std::string_view name, std::string_view value) {
  if (name == kAllowField) {
    user.allow_text = std::string(value);
    auto rules = parse_dial_rules(with(value, kBetweenRules, ','));
    if (!rules) return "has an allow that " + rules.error();
    user.allow = std::move(rules.value());
    return std::nullopt;
  }
  if (name == kRateField) {
    const auto rate = whole_number<std::int64_t>(value);
    if (!rate || *rate < 1 || *rate > kMaxUserRate)
      return "has the ratelimit " + in_quotes(value) + ", which is out of range 1.." +
             std::to_string(kMaxUserRate);
    user.ratelimit = static_cast<std::uint64_t>(*rate);
    return std::nullopt;
  }
  if (name == kQuotaField) {
    const auto quota = parse_quota(value);
    if (!quota) return quota.error();
    user.quota = quota.value();
    return std::nullopt;
  }
  if (name == kExpiresField) {
    user.last_day = parse_day(value);
    if (user.last_day) return std::nullopt;
    return "expires on " + in_quotes(value) + ", which is no date like 2027-01-31";
  }
  return "has the field " + in_quotes(name) + ", expected " + std::string(kFieldsBehindKey);
}

std::string with_name(std::string_view name, const std::string& fault) {
  return name.empty() ? fault : "has the user " + in_quotes(name) + ", who " + fault;
}

/// The text of one member for the entry. The error is a predicate of the user.
Result<std::string> text_of_member(const JsonItem::Member& member) {
  const bool number =
      member.kind == JsonKind::kWhole && (member.name == kRateField || member.name == kQuotaField);
  if (member.kind == JsonKind::kString || number) return member.text;
  if (member.kind != JsonKind::kArray || member.name != kAllowField)
    return Error{"has " + std::string(kind_name(member.kind)) + " in " + in_quotes(member.name)};
  std::string text;
  for (const JsonItem::Element& rule : member.elements) {
    if (rule.kind != JsonKind::kString) return Error{"has a rule in \"allow\" that is no string"};
    text.append(&rule == &member.elements.front() ? "" : "+").append(rule.text);
  }
  return text;
}

}  // namespace

Result<User> parse_user(std::string_view entry) {
  User user;
  const std::string_view text = without_blanks(entry);
  const auto equals = text.find('=');
  user.name = std::string(text.substr(0, equals));
  if (const auto fault = fault_of_name(user.name)) return Error{*fault};
  if (equals == text.npos) return Error{"has no key; write NAME=KEY"};
  std::string_view rest = text.substr(equals + 1);
  const auto key = parse_static_key(rest.substr(0, rest.find(kBetweenFields)));
  if (!key)
    return Error{
        "has a key that is not 43 letters, digits, hyphens and underscores, as --pubkey prints them"};
  user.key = *key;
  for (auto at = rest.find(kBetweenFields); at != rest.npos; at = rest.find(kBetweenFields)) {
    rest.remove_prefix(at + 1);
    const std::string_view field = rest.substr(0, rest.find(kBetweenFields));
    const auto is = field.find('=');
    if (is == field.npos) return Error{"has the field " + in_quotes(field) + " without a value"};
    if (const auto fault = set_field(user, field.substr(0, is), field.substr(is + 1))) return Error{*fault};
  }
  return user;
}

std::string to_text(const User& user) {
  std::string text = user.name + '=' + to_text(user.key);
  if (user.allow) text += ";allow=" + user.allow_text;
  if (user.ratelimit > 0) text += ";ratelimit=" + std::to_string(user.ratelimit);
  if (user.quota) text += ";quota=" + to_text(*user.quota);
  if (user.last_day) text += ";expires=" + to_text(*user.last_day);
  return text;
}

Result<std::string> entry_of_user(const JsonItem& object) {
  constexpr std::array kOrder{kNameField, kKeyField, kAllowField, kRateField, kQuotaField, kExpiresField};
  std::array<std::optional<std::string>, kOrder.size()> texts;
  std::string name;
  for (const JsonItem::Member& member : object.members)
    if (member.name == kNameField && member.kind == JsonKind::kString) name = member.text;
  for (const JsonItem::Member& member : object.members) {
    const auto place = static_cast<std::size_t>(std::ranges::find(kOrder, member.name) - kOrder.begin());
    if (place == kOrder.size())
      return Error{with_name(name, "has the field " + in_quotes(member.name) + ", expected name, key, " +
                                       std::string(kFieldsBehindKey))};
    auto text = text_of_member(member);
    if (!text) return Error{with_name(name, text.error())};
    if (text.value().find_first_of(",;=") != std::string::npos && member.name != kKeyField)
      return Error{with_name(name, "has a comma, a semicolon or an = in " + in_quotes(member.name))};
    texts[place] = std::move(text.value());
  }
  if (!texts[0]) return Error{"has a user without \"name\""};
  if (!texts[1]) return Error{with_name(name, "has no \"key\"")};
  std::string entry = *texts[0] + '=' + *texts[1];
  for (std::size_t i = 2; i < kOrder.size(); ++i)
    if (texts[i]) entry.append(1, kBetweenFields).append(kOrder[i]).append("=").append(*texts[i]);
  return entry;
}

nlohmann::ordered_json json_of_user(const std::string& entry) {
  auto user = parse_user(entry);
  if (!user) return entry;
  nlohmann::ordered_json object;
  object[std::string(kNameField)] = user->name;
  object[std::string(kKeyField)] = to_text(user->key);
  if (user->allow) {
    auto rules = nlohmann::ordered_json::array();
    std::string_view rest = user->allow_text;
    while (!rest.empty()) {
      rules.push_back(std::string(rest.substr(0, rest.find(kBetweenRules))));
      rest.remove_prefix(std::min(rest.size(), rules.back().get_ref<const std::string&>().size() + 1));
    }
    object[std::string(kAllowField)] = std::move(rules);
  }
  if (user->ratelimit > 0) object[std::string(kRateField)] = user->ratelimit;
  if (user->quota) object[std::string(kQuotaField)] = to_text(*user->quota);
  if (user->last_day) object[std::string(kExpiresField)] = to_text(*user->last_day);
  return object;
}

std::optional<std::string> add_user(std::vector<User>& users, const std::string& entry) {
  if (users.size() == kMaxUsers) return "is one more than " + std::to_string(kMaxUsers) + " users";
  auto user = parse_user(entry);
  if (!user) return user.error();
  for (const User& other : users) {
    if (other.name == user->name) return "has the name of another user";
    if (other.key == user->key) return "has the key of the user " + other.name;
  }
  users.push_back(std::move(user.value()));
  return std::nullopt;
}

std::optional<ValidationError> read_users(const Settings& settings, Profile& profile) {
  if (settings.role() == Role::kClient) return std::nullopt;
  const bool given = settings.source(kUsers) != Source::kDefault;
  if (!settings.text(kUsers).empty() && !profile.private_key)
    return ValidationError{kUsers, "needs crypt noise, and private-key or private-key-file"};
  if (!given && profile.private_key)
    return ValidationError{kPrivateKey, "needs users or users-file beside it: only users may connect then"};
  if (auto bad = read_entries(
          settings, kUsers, [&profile](const std::string& entry) { return add_user(profile.users, entry); }))
    return bad;
  profile.quota_file = settings.text(kQuotaFile);
  if (!profile.quota_file.empty()) return std::nullopt;
  const auto limited =
      std::ranges::find_if(profile.users, [](const User& user) { return user.quota.has_value(); });
  if (limited == profile.users.end()) return std::nullopt;
  return ValidationError{
      kUsers, "has the user " + in_quotes(limited->name) + ", who has a quota: set quota-file too"};
}

namespace {

/// The entries of a users' file. The error is a predicate of its path.
Result<std::string> users_of_file(std::string text) {
  const auto read = read_json_object(std::move(text), "an object with \"users\"");
  if (!read) return Error{read.error()};
  const JsonField* users = nullptr;
  for (const JsonField& field : read.value().fields) {
    if (field.name != kUsersField)
      return Error{"has the field " + in_quotes(field.name) + ", expected \"users\""};
    users = &field;
  }
  if (!users || users->kind != JsonKind::kArray) return Error{"has no array \"users\""};
  auto entries = text_of_array(option_of(kUsers), *users);
  if (!entries) return Error{entries.error()};
  return std::get<std::string>(std::move(entries.value()));
}

}  // namespace

std::string render_users(const std::vector<User>& users) {
  std::string text = "{\"users\": [";
  for (const User& user : users)
    text.append(&user == &users.front() ? "\n  " : ",\n  ").append(json_of_user(to_text(user)).dump());
  return text + (users.empty() ? "]}\n" : "\n]}\n");
}

Result<std::vector<User>> parse_users(std::string text) {
  auto entries = users_of_file(std::move(text));
  if (!entries) return Error{entries.error()};
  Settings settings(Role::kServer);
  settings.set(kUsers, std::move(entries.value()), Source::kFile);
  std::vector<User> users;
  const auto bad =
      read_entries(settings, kUsers, [&users](const std::string& entry) { return add_user(users, entry); });
  if (bad) return Error{"has the user \"" + printable(bad->entry) + "\", who " + bad->predicate};
  return users;
}

std::optional<ValidationError> resolve_users(Settings& settings, const TextReader& read) {
  return resolve_file(settings, kUsers, [&read](const std::string& path) -> Result<std::string> {
    auto text = read(path);
    if (!text) return Error{"cannot be read: " + text.error()};
    return users_of_file(std::move(text.value()));
  });
}

}  // namespace kcptun
