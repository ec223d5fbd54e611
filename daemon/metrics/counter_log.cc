#include "daemon/metrics/counter_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "daemon/metrics/time_layout.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

std::string CounterLog::file_at(const timespec& now) const {
  WallTime time;
  localtime_r(&now.tv_sec, &time.fields);
  time.nanoseconds = now.tv_nsec;
  const std::size_t name = path_.rfind('/') + 1;  // 0 if there is no directory
  return path_.substr(0, name) + format_time(std::string_view(path_).substr(name), time);
}

Result<bool> CounterLog::append(const timespec& now, const Counters& counters) const {
  const std::string file = file_at(now);
  const auto failed = [&file](int error) {
    return Error{"cannot write " + file + ": " + std::strerror(error)};
  };
  // O_NONBLOCK: the file may be a pipe without a reader.
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const FileDescriptor fd(::open(file.c_str(), kFlags, 0666));
  struct stat before {};
  if (!fd.valid() || fstat(fd.get(), &before) != 0) return failed(errno);
  std::string text;
  if (before.st_size == 0) text = "Unix," + csv_names() + "\n";
  text += std::to_string(now.tv_sec) + "," + csv_values(counters) + "\n";
  const ssize_t written = ::write(fd.get(), text.data(), text.size());
  if (written < 0) return failed(errno);
  if (static_cast<std::size_t>(written) == text.size()) return true;
  if (ftruncate(fd.get(), before.st_size) != 0) return failed(errno);
  return failed(ENOSPC);
}

}  // namespace kcptun
