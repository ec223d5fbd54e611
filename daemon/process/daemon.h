// All tunnels of the process on its threads, and the signals, which the first thread takes.
#pragma once

#include <cstddef>
#include <functional>
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
#include "daemon/tunnel/tunnel.h"

namespace kcptun {

class DaemonReload;

class Daemon {
 public:
  /// Reads the configuration again, as at the start.
  using ReadAgain = std::function<ParsedCommand()>;

  /// Resolves names, binds sockets, dials sessions. The error names what cannot be had.
  static Result<std::unique_ptr<Daemon>> open(RunTunnels start, ReadAgain read_again);
  ~Daemon();

  /// Until SIGINT or SIGTERM. SIGUSR1 writes the counters to the log, snmplog gets them every snmpperiod;
  /// SIGHUP reads the configuration again. `service` is told when it is ready, that every loop is alive, and
  /// when it stops. The error says why the system gives no threads; nothing has run then.
  Result<bool> run(ServiceNotifier& service);

 private:
  struct Running {
    std::unique_ptr<Tunnel> loops;
    std::unique_ptr<CounterWriter> writer;  // goes before the loops
  };
  class Signals;
  class Watchdog;

  Daemon(RunTunnels start, ReadAgain read_again);
  Result<bool> open_all();
  Result<bool> open_one(const Profile& profile, const TunnelAddresses& addresses);
  Result<bool> start_threads();
  void log_start(const Tunnel& tunnel) const;
  void stop();
  void reload();
  void begin_reload();
  std::optional<std::string> apply(DaemonReload& reload);
  void end_reload(const std::optional<std::string>& error);
  void check_watchdog();
  void log_counters();
  Result<bool> open_status();
  void collect_status(StatusServer::Answer answer);
  /// Calls `then` on the first thread with the sums of all tunnels; not at all if one of them is gone by
  /// then.
  void collect_active(std::function<void(const TunnelTotals&)> then);

  RunTunnels running_;  // what the tunnels are, in the order of tunnels_
  const ReadAgain read_again_;
  std::unique_ptr<ProcessMemory> memory_;  // of all tunnels' sessions
  std::unique_ptr<WorkerThreads> threads_;
  std::unique_ptr<Signals> signals_;  // from before anything opens until the threads have ended
  std::vector<Running> tunnels_;
  std::size_t next_thread_ = 0;           // where the next tunnel's first loop lies
  std::unique_ptr<DaemonReload> reload_;  // while one is under way
  bool reload_again_ = false;             // asked for meanwhile
  bool stopping_ = false;
  ServiceNotifier* service_ = nullptr;  // while run() runs
  double started_ = 0;                  // seconds since 1970
  std::unique_ptr<StatusServer> status_;
};

}  // namespace kcptun
