// The key from a file: which of `key` and `key-file` rules, and what the file must be. Reading it is the
// caller's (command.cc).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

/// Longest key of a file, in bytes, without what stands around it.
inline constexpr std::size_t kMaxKeyFile = 65536;
/// Bytes that a file may have beside its key: a byte order mark, ends of lines; and one to see that there is
/// more.
inline constexpr std::size_t kAroundKey = 64;
/// What a path may begin with, to mean the folder of systemd's credentials (systemd.exec(5),
/// LoadCredential=).
inline constexpr std::string_view kCredentials = "$CREDENTIALS_DIRECTORY/";

/// Gives a key file's text; the error is a predicate: "cannot be read: No such file or directory".
using KeyFileReader = std::function<Result<std::string>(const std::string& path)>;

/// Lets the later of `key` and `key-file` rule, and makes the file's text the key. Two of one source are an
/// error, and so is a file that cannot be had.
std::optional<ValidationError> resolve_key(Settings& settings, const KeyFileReader& read);

/// The key in a file's text: without a byte order mark, and without the ends of lines before and behind it,
/// which no user means. The error is a predicate.
Result<std::string> key_of_text(std::string given);

/// Reads a file that nobody but its owner and its group can read, at most kMaxKeyFile + kAroundKey bytes. The
/// error is a predicate.
Result<std::string> read_key_file(const std::string& path);

}  // namespace kcptun
