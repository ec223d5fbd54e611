// A reload in progress: the new configuration, its effect on the running tunnels, and the names to resolve.
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

/// All steps that can fail come before any change. Runs on the process's first loop.
class DaemonReload {
 public:
  struct Kept {
    ReloadPlan::Kept plan;
    std::optional<std::vector<IpEndpoint>> remote;  // the addresses of the new remote, if it changed
  };
  struct Added {
    ConfiguredTunnel configured;
    TunnelAddresses addresses;
    std::unique_ptr<Tunnel> loops;  // not opened
  };

  /// Opens the new log. The error, one line, gives the reason for rejecting the configuration.
  static Result<std::unique_ptr<DaemonReload>> plan(const RunTunnels& running, ParsedCommand wanted);

  /// Resolves the new names, then calls `done`, with an error if one cannot be resolved. May call it before
  /// returning. Makes no call after the reload is destroyed.
  void resolve(WorkerThreads& threads, MemoryQuota& memory,
               std::function<void(std::optional<std::string>)> done);
  /// Logs the changes, and those that need a restart.
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
