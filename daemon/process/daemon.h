// All tunnels of the process and its signals, which the first thread handles.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/command.h"
#include "daemon/io/worker_threads.h"
#include "daemon/process/process_memory.h"
#include "daemon/process/service_notifier.h"
#include "daemon/status/status_server.h"
#include "daemon/tunnel/counter_writer.h"
#include "daemon/tunnel/quota_writer.h"
#include "daemon/tunnel/tunnel.h"

namespace kcptun {

class DaemonReload;

/// Lives on the main thread, which runs the first loop. Bounds: the number of threads is fixed at open().
class Daemon {
 public:
  /// Reads the configuration again, as at the start.
  using Reread = std::function<ParsedCommand()>;

  /// Resolves names, binds sockets and dials sessions. The error names the resource.
  static Result<std::unique_ptr<Daemon>> open(RunTunnels start, Reread reread);
  ~Daemon();

  /// Runs until SIGINT or SIGTERM. SIGUSR1 logs the counters; snmplog receives them every snmpperiod; SIGHUP
  /// reloads the configuration. Notifies `service` of readiness, of live loops and of the stop. If the system
  /// refuses a thread, the error gives the reason and nothing has run.
  Result<bool> run(ServiceNotifier& service);

 private:
  struct Running {
    std::unique_ptr<Tunnel> loops;
    std::unique_ptr<CounterWriter> writer;  // destroyed before the engines
    std::unique_ptr<QuotaWriter> quotas{};  // likewise; null without quota-file
  };
  class Signals;
  class Watchdog;

  Daemon(RunTunnels start, Reread reread);
  Result<bool> open_all();
  Result<bool> open_one(const Profile& profile, const TunnelAddresses& addresses);
  Result<bool> start_threads();
  void log_start(const Tunnel& tunnel) const;
  void stop();
  void reload();
  void begin_reload();
  std::optional<std::string> apply(DaemonReload& reload);
  std::map<std::string, QuotaUses> shut_down_removed(const DaemonReload& reload);
  std::unique_ptr<QuotaWriter> make_quota_writer(const Tunnel& tunnel);
  void end_reload(const std::optional<std::string>& error);
  void check_watchdog();
  void log_counters();
  Result<bool> open_status();
  void collect_status(StatusServer::Answer answer);
  /// Calls `then` on the first thread with the sums of all tunnels; never if one of them is destroyed first.
  void collect_active(std::function<void(const TunnelTotals&)> then);

  RunTunnels running_;  // configuration of the tunnels, in the order of tunnels_
  const Reread reread_;
  std::unique_ptr<ProcessMemory> memory_;  // shared by all tunnels' sessions
  std::unique_ptr<WorkerThreads> threads_;
  std::unique_ptr<Signals> signals_;  // exists from before any socket is opened until the threads have ended
  std::vector<Running> tunnels_;
  std::size_t next_thread_ = 0;           // the thread of the next tunnel's first engine
  std::unique_ptr<DaemonReload> reload_;  // while a reload is in progress
  bool reload_pending_ = false;           // another reload was requested in the meantime
  bool stopping_ = false;
  ServiceNotifier* service_ = nullptr;  // set during run()
  double started_ = 0;                  // seconds since 1970
  std::unique_ptr<StatusServer> status_;
};

}  // namespace kcptun
