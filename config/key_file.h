// Options whose value may stand in a file: resolves the one against the other, and checks the file of a key.
// The caller (command.cc) reads the file.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

/// Maximum length of a key in a file, in bytes, without the surrounding bytes.
inline constexpr std::size_t kMaxKeyFile = 65536;
/// Maximum number of bytes around the key: a byte order mark, line ends, and one byte that detects a longer
/// file.
inline constexpr std::size_t kAroundKey = 64;
/// A path with this prefix is relative to systemd's credentials directory (systemd.exec(5), LoadCredential=).
inline constexpr std::string_view kCredentials = "$CREDENTIALS_DIRECTORY/";

/// Returns the text of a key file. The error is a predicate: "cannot be read: No such file or directory".
using KeyFileReader = std::function<Result<std::string>(const std::string& path)>;

/// Applies the later of an option and its file_option_of(), and sets the option to the value in the file.
/// Both from one source are an error. `value_in` returns the value in a file; its error is a predicate of the
/// file.
std::optional<ValidationError> resolve_file(
    Settings& settings, OptionId id,
    const std::function<Result<std::string>(const std::string& path)>& value_in);

/// Applies the later of `key` and `key-file`, and sets the key to the file's text; the same for
/// `private-key`. Both from one source are an error, and so is an unreadable file.
std::optional<ValidationError> resolve_keys(Settings& settings, const KeyFileReader& read);

/// Extracts the key from the text of a file: removes a byte order mark, and line ends before and behind the
/// key. The error is a predicate.
Result<std::string> key_of_text(std::string given);

/// Reads at most kMaxKeyFile + kAroundKey bytes of a file that only its owner and its group can read. The
/// error is a predicate.
Result<std::string> read_key_file(const std::string& path);

}  // namespace kcptun
