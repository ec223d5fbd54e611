// Notifications to the service manager with the protocol of sd_notify(3): datagrams of "NAME=value" lines to
// the unix socket in NOTIFY_SOCKET.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/time.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Variables that the service manager sets; none: the variable is not set.
struct ServiceEnvironment {
  std::optional<std::string> notify_socket{};  // NOTIFY_SOCKET
  std::optional<std::string> watchdog_usec{};  // WATCHDOG_USEC
  std::optional<std::string> watchdog_pid{};   // WATCHDOG_PID: the process that the watchdog monitors

  static ServiceEnvironment of_process();
};

/// Without a service manager every call does nothing. Sending never blocks; as sd_notify(3) allows, a
/// datagram that cannot be sent is lost.
class ServiceNotifier {
 public:
  /// `pid`: the own process id. The error names the variable and its value.
  static Result<ServiceNotifier> open(const ServiceEnvironment& environment, std::int64_t pid);

  bool listened_to() const { return socket_.valid(); }
  /// The service manager kills the process if two alive() calls are further apart than this. None: it has no
  /// watchdog.
  std::optional<Duration> watchdog() const { return watchdog_; }

  /// The process listens and accepts connections and tunnels.
  void ready() { send("READY=1"); }
  void stopping() { send("STOPPING=1"); }
  /// The configuration is being reloaded; ready() ends the reload.
  void reloading();
  /// One line of text for the administrator.
  void status(std::string_view text) { send("STATUS=" + std::string(text)); }
  void alive() { send("WATCHDOG=1"); }

 private:
  ServiceNotifier() = default;
  void send(std::string_view message);

  FileDescriptor socket_;  // connected to the manager's socket
  std::optional<Duration> watchdog_;
};

}  // namespace kcptun
