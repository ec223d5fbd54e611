// A tunnel on all its loops: one thread each, the first on the caller's, which also takes the signals.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "config/profile.h"
#include "core/crypt/suite.h"
#include "core/stream/qpp.h"
#include "daemon/client.h"
#include "daemon/counter_log.h"
#include "daemon/loop/loop.h"
#include "daemon/server.h"
#include "daemon/service_notifier.h"
#include "daemon/tunnel.h"

namespace kcptun {

class TunnelThreads {
 public:
  /// Resolves names, binds sockets, dials sessions. The error names what cannot be had.
  static Result<std::unique_ptr<TunnelThreads>> open(const Profile& profile);
  ~TunnelThreads();

  /// Until SIGINT or SIGTERM. SIGUSR1 writes the counters to the log, snmplog gets them every snmpperiod. `service` is
  /// told when it is ready, that every loop is alive, and when it stops.
  void run(ServiceNotifier& service);

 private:
  TunnelThreads(const Profile& profile, MasterKey key);
  struct Worker {
    std::unique_ptr<Loop> loop;
    std::unique_ptr<TunnelPart> part;
    std::thread thread;
  };
  class Signals;
  class Pulse;
  class SnmpLog;

  std::size_t loop_count() const;
  Result<bool> open_client();
  Result<std::vector<FileDescriptor>> open_listeners();
  Result<bool> open_server();
  static Result<bool> listen_on(const IpEndpoint& address, std::span<ServerPart* const> parts);
  Result<bool> add_loop();
  void stop();
  void check_pulse();
  void log_counters();
  void gather_counters(std::function<void(const Counters&)> then);

  Profile profile_;  // without its key
  MasterKey key_;
  std::unique_ptr<QppPads> qpp_;
  ClientShared client_;
  ServerShared server_;
  std::vector<Worker> workers_;
  ServiceNotifier* service_ = nullptr;  // while run() runs
};

}  // namespace kcptun
