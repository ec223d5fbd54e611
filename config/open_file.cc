#include "config/open_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace kcptun {
namespace {

Error system_error(int fd) {
  const Error error{std::strerror(errno)};
  if (fd >= 0) ::close(fd);
  return error;
}

// Without a writer, poll() reports nothing; behind the last one it reports the end.
bool has_writer(int fd) {
  pollfd entry{fd, POLLIN, 0};
  int ready = 0;
  do ready = ::poll(&entry, 1, kPipePatienceMs);
  while (ready < 0 && errno == EINTR);
  return ready > 0;
}

}  // namespace

Result<OpenFile> open_to_read(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // a pipe would wait for its writer
  struct stat info {};
  if (fd < 0 || ::fstat(fd, &info) != 0) return system_error(fd);
  if (S_ISFIFO(info.st_mode) && !has_writer(fd)) {
    ::close(fd);
    return Error{"is a pipe that nobody writes to"};
  }
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) return system_error(fd);
  std::FILE* const file = ::fdopen(fd, "rb");
  if (!file) return system_error(fd);
  return OpenFile(file, &std::fclose);
}

}  // namespace kcptun
