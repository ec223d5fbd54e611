// Folders that a file's path names and the machine does not have.
#pragma once

#include <string>

namespace kcptun {

/// The first folder of the file's path that is missing, or no folder; "" if all exist.
std::string missing_folder(const std::string& file);

}  // namespace kcptun
