// A reload under way: what was read, what it means for the tunnels that run, and the names that it needs.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/reload.h"
#include "daemon/io/name_lookup.h"
#include "daemon/io/worker_threads.h"
#include "daemon/tunnel/tunnel.h"

namespace spdlog {
class logger;
}

namespace kcptun {

/// Everything that can go wrong is done before anything changes. On the process's first loop.
class DaemonReload {
 public:
  struct Kept {
    ReloadPlan::Kept plan;
    std::optional<std::vector<IpEndpoint>> remote;  // the addresses of the new remote, if that changed
  };
  struct Added {
    ConfiguredTunnel configured;
    TunnelAddresses addresses;
    std::unique_ptr<Tunnel> loops;  // not opened
  };

  /// Opens the log anew. The error, one line, says why the configuration cannot be taken.
  static Result<std::unique_ptr<DaemonReload>> plan(const RunTunnels& running, ParsedCommand wanted);

  /// Looks up the names that are new, then calls `done`, with an error if one cannot be resolved. May do so
  /// from inside. Of a reload that is gone by then it doesn't.
  void resolve(WorkerThreads& threads, MemoryQuota& memory, std::function<void(std::optional<std::string>)> done);
  /// Says in the log what changed, and what needs a restart.
  void log_changes(const RunTunnels& before) const;

  std::vector<Kept> kept;
  std::vector<Added> added;
  std::vector<std::size_t> removed;  // indexes of running tunnels
  bool several = false;
  std::shared_ptr<spdlog::logger> log;

 private:
  explicit DaemonReload(ReloadPlan plan, const RunTunnels& running);
  std::vector<NameQuery> queries(const std::function<void(std::vector<IpEndpoint>*)>& note);

  std::vector<Change> process_changes_;
  std::vector<std::string> warnings_;
  std::unique_ptr<NameLookups> lookups_;
};

}  // namespace kcptun
