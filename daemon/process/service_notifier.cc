#include "daemon/process/service_notifier.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace kcptun {
namespace {

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::optional<std::string>(value) : std::nullopt;
}

std::optional<std::int64_t> positive_number(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number <= 0) return std::nullopt;
  return number;
}

Result<FileDescriptor> connect_to(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const bool abstract = path.starts_with('@');
  if (path.size() < 2 || (!abstract && !path.starts_with('/')) || path.size() >= sizeof name.sun_path)
    return Error{"NOTIFY_SOCKET: \"" + path.substr(0, sizeof name.sun_path) +
                 "\" is neither a path nor an abstract socket of at most 107 bytes"};
  std::memcpy(name.sun_path, path.data(), path.size());
  if (abstract) name.sun_path[0] = '\0';
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  FileDescriptor fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid() || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), size) != 0)
    return Error{"NOTIFY_SOCKET: cannot reach " + path + ": " + std::strerror(errno)};
  return fd;
}

}  // namespace

ServiceEnvironment ServiceEnvironment::of_process() {
  return {variable("NOTIFY_SOCKET"), variable("WATCHDOG_USEC"), variable("WATCHDOG_PID")};
}

Result<ServiceNotifier> ServiceNotifier::open(const ServiceEnvironment& environment, std::int64_t pid) {
  ServiceNotifier notifier;
  if (!environment.notify_socket) return notifier;
  Result<FileDescriptor> socket = connect_to(*environment.notify_socket);
  if (!socket) return Error{socket.error()};
  notifier.socket_ = std::move(*socket);
  if (!environment.watchdog_usec) return notifier;
  const auto period = positive_number(*environment.watchdog_usec);
  if (!period)
    return Error{"WATCHDOG_USEC: \"" + *environment.watchdog_usec + "\" is not a number of microseconds"};
  const auto watchdog_pid = environment.watchdog_pid ? positive_number(*environment.watchdog_pid) : pid;
  if (!watchdog_pid) return Error{"WATCHDOG_PID: \"" + *environment.watchdog_pid + "\" is not a process id"};
  if (*watchdog_pid == pid) notifier.watchdog_ = microseconds(*period);
  return notifier;
}

void ServiceNotifier::reloading() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto usec = static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
  send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec));
}

void ServiceNotifier::send(std::string_view message) {
  if (socket_.valid()) ::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL);
}

}  // namespace kcptun
