#include "daemon/system/replaced_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "daemon/system/file_descriptor.h"

namespace kcptun {
namespace {

constexpr std::size_t kMaxSize = 1 << 20;  // bytes; as of a profile

Error system_error(const char* what) { return Error{std::string(what) + ": " + std::strerror(errno)}; }

/// The file, locked. Another process may have replaced it while this one waited for the lock: then the path
/// names a newer file, which is locked instead.
Result<FileDescriptor> lock_newest(const std::string& path) {
  while (true) {
    FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid()) return system_error("cannot be opened");
    if (::flock(fd.get(), LOCK_EX) != 0) return system_error("cannot be locked");
    struct stat locked {
    }, named{};
    if (::fstat(fd.get(), &locked) != 0) return system_error("cannot be read");
    if (!S_ISREG(locked.st_mode)) return Error{"is no regular file"};
    if (::stat(path.c_str(), &named) == 0 && named.st_ino == locked.st_ino && named.st_dev == locked.st_dev)
      return fd;
  }
}

Result<std::string> read_all(int fd) {
  std::string text;
  std::array<char, 16384> chunk;
  while (true) {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("cannot be read");
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > kMaxSize) return Error{"is longer than 1 MiB"};
  }
}

bool sync_folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
  const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd.valid() && ::fsync(fd.get()) == 0;
}

/// The text in a new file beside the old one, with its owner and mode.
Result<std::string> write_beside(const std::string& path, int old, const std::string& text) {
  struct stat info {};
  if (::fstat(old, &info) != 0) return system_error("cannot be read");
  std::string name = path + ".XXXXXX";
  const FileDescriptor fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd.valid()) return system_error("cannot be replaced");
  const bool same_owner = (info.st_uid == ::geteuid() && info.st_gid == ::getegid()) ||
                          ::fchown(fd.get(), info.st_uid, info.st_gid) == 0;
  if (same_owner && ::fchmod(fd.get(), info.st_mode & 07777) == 0 && write_all(fd.get(), text) &&
      ::fsync(fd.get()) == 0)
    return name;
  const Error error = system_error("cannot be replaced");
  ::unlink(name.c_str());
  return error;
}

}  // namespace

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

Result<bool> replace_text(const std::string& path,
                          const std::function<Result<std::string>(const std::string& text)>& change) {
  Result<FileDescriptor> locked = lock_newest(path);
  if (!locked) return Error{locked.error()};
  const auto before = read_all(locked->get());
  if (!before) return Error{before.error()};
  const auto after = change(before.value());
  if (!after) return Error{after.error()};
  if (after.value() == before.value()) return true;
  const auto beside = write_beside(path, locked->get(), after.value());
  if (!beside) return Error{beside.error()};
  if (::rename(beside.value().c_str(), path.c_str()) != 0) {
    const Error error = system_error("cannot be replaced");
    ::unlink(beside.value().c_str());
    return error;
  }
  if (!sync_folder_of(path)) return system_error("is replaced, but that may not survive a crash");
  return true;
}

}  // namespace kcptun
