// The service manager's ear: the protocol of sd_notify(3), datagrams of "NAME=value" lines to the unix socket that
// NOTIFY_SOCKET names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/time.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// What the service manager put into the environment; none: the variable is not set.
struct ServiceEnvironment {
  std::optional<std::string> notify_socket{};  // NOTIFY_SOCKET
  std::optional<std::string> watchdog_usec{};  // WATCHDOG_USEC
  std::optional<std::string> watchdog_pid{};   // WATCHDOG_PID: whom the watchdog is for

  static ServiceEnvironment of_process();
};

/// Without a service manager every call does nothing. Sending never blocks; a datagram that does not get through is
/// lost, as sd_notify(3) has it.
class ServiceNotifier {
 public:
  /// `pid`: ours. The error names the variable and its value.
  static Result<ServiceNotifier> open(const ServiceEnvironment& environment, std::int64_t pid);

  bool listened_to() const { return socket_.valid(); }
  /// How long the service manager waits between two alive() before it ends us; none: it has no watchdog.
  std::optional<Duration> watchdog() const { return watchdog_; }

  /// Listening: connections and tunnels are taken.
  void ready() { send("READY=1"); }
  void stopping() { send("STOPPING=1"); }
  /// The configuration is read again; ready() tells that this is over.
  void reloading();
  /// One line for people.
  void status(std::string_view text) { send("STATUS=" + std::string(text)); }
  void alive() { send("WATCHDOG=1"); }

 private:
  ServiceNotifier() = default;
  void send(std::string_view message);

  FileDescriptor socket_;  // connected to the manager's
  std::optional<Duration> watchdog_;
};

}  // namespace kcptun
