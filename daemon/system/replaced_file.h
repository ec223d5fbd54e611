// Writes the text of a file as a whole.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace kcptun {

/// Writes the whole text to a file. False, with errno set, if the system refuses.
bool write_all(int fd, std::string_view text);

/// Calls `change` with the file's text, "" if there is no file, and replaces it by what `change` returns, if
/// that differs. Readers see the old text or the new one; after a crash too. Keeps the file's owner and mode;
/// a new file has mode 0600. Others who call it for the same path wait. The error of the system is a
/// predicate of the file; that of `change` is returned as it is.
Result<bool> replace_text(const std::string& path,
                          const std::function<Result<std::string>(const std::string& text)>& change);

}  // namespace kcptun
