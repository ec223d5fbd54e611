// The users of a server: a key for each, and what it may do.
//
//   NAME=KEY[;allow=RULE+RULE...][;ratelimit=BYTES][;quota=SIZE[/day|/month]][;expires=YYYY-MM-DD]
//
// In JSON an entry may also be an object with the fields name, key, allow, ratelimit, quota and
// expires.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/json_fields.h"
#include "config/profile.h"
#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

/// The error is a predicate: "has no key".
Result<User> parse_user(std::string_view entry);
/// The entry, with its fields in the order above.
std::string to_text(const User& user);

/// Converts an object of the JSON array to an entry. The error is a predicate of the array.
Result<std::string> entry_of_user(const JsonItem& object);

/// Converts an entry to an object of the JSON array; one that parse_user() refuses stays a string.
nlohmann::ordered_json json_of_user(const std::string& entry);

/// Adds the entry's user. Returns why it is refused, as a predicate of the user.
std::optional<std::string> add_user(std::vector<User>& users, const std::string& entry);

/// The text of a users' file.
std::string render_users(const std::vector<User>& users);
/// A users' file without users.
inline constexpr std::string_view kNoUsers = "{\"users\": []}\n";
/// Reads the text of a users' file. The error is a predicate of the file.
Result<std::vector<User>> parse_users(std::string text);

/// Reads users into the profile.
std::optional<ValidationError> read_users(const Settings& settings, Profile& profile);

/// Returns the text of a file. The error is the system's message.
using TextReader = std::function<Result<std::string>(const std::string& path)>;

/// Applies the later of users and users-file, and sets users to the file's entries. The file is an object
/// with the one field "users", an array as of the option.
std::optional<ValidationError> resolve_users(Settings& settings, const TextReader& read);

}  // namespace kcptun
