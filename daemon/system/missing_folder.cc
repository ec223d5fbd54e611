#include "daemon/system/missing_folder.h"

#include <sys/stat.h>

namespace kcptun {
namespace {

bool is_folder(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace

std::string missing_folder(const std::string& file) {
  for (std::size_t slash = file.find('/', 1); slash != std::string::npos; slash = file.find('/', slash + 1)) {
    const std::string folder = file.substr(0, slash);
    if (!is_folder(folder)) return folder;
  }
  return {};
}

}  // namespace kcptun
