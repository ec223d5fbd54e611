#include "daemon/process/daemon_reload.h"

#include <array>
#include <string_view>
#include <utility>

#include "config/address.h"
#include "daemon/io/listener.h"
#include "daemon/log/log.h"
#include "daemon/process/daemon.h"
#include "daemon/process/secrets.h"
#include "daemon/worker/tunnel_keys.h"

namespace kcptun {
namespace {

// shown_value() quotes text; the log adds quotes itself where they are needed.
std::string_view without_quotes(std::string_view value) {
  const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  return quoted ? value.substr(1, value.size() - 2) : value;
}

void log_change(const EventLog& log, const Change& change) {
  const LogLevel level = change.reload == OptionReload::kRestart ? LogLevel::kWarning : LogLevel::kInfo;
  const std::array fields{
      LogField("option", option_of(change.option).json), LogField("before", without_quotes(change.before)),
      LogField("after", without_quotes(change.after)), LogField("effect", effect_of(change.reload))};
  log.write(level, "option changed", fields);
}

}  // namespace

DaemonReload::DaemonReload(ReloadPlan plan, const RunTunnels& running)
    : removed(std::move(plan.removed)),
      several(plan.several),
      process_changes_(std::move(plan.process_changes)) {
  for (ReloadPlan::Kept& one : plan.kept) {
    Kept& next = kept.emplace_back(Kept{std::move(one), std::nullopt});
    const Profile& wanted = next.plan.next.profile;
    const Profile& had = running.tunnels[next.plan.running].profile;
    if (!(wanted.remote == had.remote) || wanted.servers != had.servers) next.remote.emplace();
  }
  for (ConfiguredTunnel& one : plan.added) added.push_back({std::move(one), {}, nullptr});
}

Result<std::unique_ptr<DaemonReload>> DaemonReload::plan(const RunTunnels& running, ParsedCommand wanted) {
  if (const auto* error = std::get_if<StartupError>(&wanted)) return Error{error->line};
  auto* run = std::get_if<RunTunnels>(&wanted);
  if (!run) return Error{"the command line asks for no tunnel"};
  std::vector<std::string> warnings = std::move(run->warnings);
  for (ConfiguredTunnel& tunnel : run->tunnels)
    replace_keys_by_digests(tunnel);  // as in the running configuration
  auto planned = plan_reload(running, std::move(*run));
  if (const auto* error = std::get_if<StartupError>(&planned)) return Error{error->line};
  std::unique_ptr<DaemonReload> reload(new DaemonReload(std::move(std::get<ReloadPlan>(planned)), running));
  reload->warnings_ = std::move(warnings);
  const Profile& any = reload->kept.empty() ? reload->added.front().configured.profile
                                            : reload->kept.front().plan.next.profile;
  auto log = open_log(any.log);
  if (!log) return Error{log.error()};
  if (const Result<bool> started = start_log(**log); !started) return Error{started.error()};
  reload->log = std::move(*log);
  return reload;
}

// Calls note() with the destination of the addresses for each query.
std::vector<NameQuery> DaemonReload::queries(const std::function<void(std::vector<IpEndpoint>*)>& note) {
  std::vector<NameQuery> all;
  const auto ask = [&](const HostPort* address, const std::string& host, std::vector<IpEndpoint>& to) {
    if (!address) return;  // a unix path
    all.push_back({host, address->port_min});
    note(&to);
  };
  const auto resolve_remote = [&ask](const Profile& profile, std::vector<IpEndpoint>& to) {
    const auto* remote = std::get_if<HostPort>(&profile.remote);
    if (profile.servers.size() > 1 || profile.target_is_request) return;  // as in TunnelAddresses
    ask(remote, remote ? dialled_host(*remote) : "", to);
  };
  for (Kept& one : kept)
    if (one.remote) resolve_remote(one.plan.next.profile, *one.remote);
  for (Added& one : added) {
    const Profile& profile = one.configured.profile;
    resolve_remote(profile, one.addresses.remote);
    const auto resolve_local = [&ask](const Address& address, std::vector<IpEndpoint>& to) {
      const auto* local = std::get_if<HostPort>(&address);
      ask(local, local ? local->host : "", to);
    };
    if (profile.listens_at_local_address) resolve_local(profile.local_address, one.addresses.local);
    one.addresses.forwards.resize(profile.forwards.size());
    for (std::size_t i = 0; i < profile.forwards.size(); ++i)
      resolve_local(profile.forwards[i].listen, one.addresses.forwards[i]);
  }
  return all;
}

void DaemonReload::resolve(WorkerThreads& threads, MemoryQuota& memory,
                           std::function<void(std::optional<std::string>)> done) {
  std::vector<std::vector<IpEndpoint>*> places;
  const auto all = queries([&places](std::vector<IpEndpoint>* place) { places.push_back(place); });
  for (Added& one : added) {
    Result<std::unique_ptr<Tunnel>> made = Tunnel::make(one.configured.profile, threads, memory);
    if (!made) return done("tunnel " + one.configured.profile.name + ": " + made.error());
    wipe_keys(one.configured.profile);
    one.loops = std::move(*made);
  }
  if (all.empty()) return done(std::nullopt);
  lookups_ = std::make_unique<NameLookups>(
      threads.uv(0), all, [this, places, done = std::move(done)](NameLookups::Answers found) {
        for (std::size_t i = 0; i < places.size(); ++i) {
          if (!found[i]) return done(found[i].error());
          *places[i] = std::move(*found[i]);
        }
        for (Added& one : added) {
          one.addresses.local = own_addresses(std::move(one.addresses.local));
          for (auto& addresses : one.addresses.forwards) addresses = own_addresses(std::move(addresses));
        }
        done(std::nullopt);
      });
}

void DaemonReload::log_changes(const RunTunnels& before) const {
  for (const std::string& warning : warnings_) EventLog().warning("configuration", {{"text", warning}});
  for (const Change& change : process_changes_) log_change(EventLog(), change);
  std::size_t changes = process_changes_.size();
  for (const Kept& one : kept) {
    changes += one.plan.changes.size();
    for (const Change& change : one.plan.changes) log_change(EventLog(one.plan.next.profile.name), change);
  }
  for (const std::size_t index : removed) EventLog(before.tunnels[index].profile.name).info("tunnel stopped");
  EventLog().info("reloaded", {{"changes", changes}, {"added", added.size()}, {"removed", removed.size()}});
}

// --- the process's part ---

void Daemon::reload() {
  if (stopping_) return;
  if (reload_) {
    reload_pending_ = true;
    return;
  }
  service_->reloading();
  begin_reload();
}

void Daemon::begin_reload() {
  Result<std::unique_ptr<DaemonReload>> planned = DaemonReload::plan(running_, reread_());
  if (!planned) return end_reload(planned.error());
  reload_ = std::move(*planned);
  reload_->resolve(*threads_, *memory_, [this](std::optional<std::string> error) {
    if (stopping_) return;
    if (!error) threads_->run_exclusive([this, &error] { error = apply(*reload_); });
    end_reload(error);
  });
}

// What the users of removed tunnels have transferred, by quota-file. It is complete, and written, once the
// tunnel is shut down; the file that an added tunnel has read is older.
std::map<std::string, QuotaUses> Daemon::shut_down_removed(const DaemonReload& reload) {
  std::map<std::string, QuotaUses> uses;
  for (const std::size_t index : reload.removed) {
    Running& running = tunnels_[index];
    running.loops->shut_down();
    running.quotas.reset();
    const std::string& file = running.loops->profile().quota_file;
    if (!file.empty()) uses[file] = running.loops->accounts().uses();
  }
  return uses;
}

// Runs while all threads are stopped. After an error nothing has changed.
std::optional<std::string> Daemon::apply(DaemonReload& reload) {
  std::size_t thread = next_thread_;
  ListeningSockets inherited;
  for (const std::size_t index : reload.removed) tunnels_[index].loops->export_sockets(inherited);
  for (DaemonReload::Added& one : reload.added) {
    if (const Result<bool> opened = one.loops->open(one.addresses, thread, inherited); !opened) {
      for (DaemonReload::Added& all : reload.added) all.loops.reset();
      return "tunnel " + one.configured.profile.name + ": " + opened.error();
    }
    thread = (thread + one.loops->loops()) % threads_->size();
  }
  next_thread_ = thread;
  std::map<std::string, QuotaUses> left = shut_down_removed(reload);
  RunTunnels next{{}, reload.several, {}};
  std::vector<Running> tunnels;
  for (DaemonReload::Kept& one : reload.kept) {
    Running& running = tunnels_[one.plan.running];
    running.loops->apply(one.plan.next.profile, one.remote ? &*one.remote : nullptr);
    tunnels.push_back(std::move(running));
    next.tunnels.push_back(one.plan.next);
  }
  for (DaemonReload::Added& one : reload.added) {
    if (auto uses = left.extract(one.loops->profile().quota_file)) one.loops->load_accounts(uses.mapped());
    auto writer = CounterWriter::make(threads_->uv(0), *one.loops);
    auto quotas = make_quota_writer(*one.loops);
    if (const auto started = quotas ? quotas->start() : true; !started)
      EventLog(one.configured.profile.name)
          .warning("quota-file is not written", {{"error", started.error()}});
    tunnels.push_back({std::move(one.loops), std::move(writer), std::move(quotas)});
    next.tunnels.push_back(one.configured);
  }
  tunnels_ = std::move(tunnels);  // destroys the tunnels that were not moved
  use_log(std::move(reload.log));
  reload.log_changes(running_);
  running_ = std::move(next);
  for (std::size_t i = reload.kept.size(); i < tunnels_.size(); ++i) log_start(*tunnels_[i].loops);
  return std::nullopt;
}

void Daemon::end_reload(const std::optional<std::string>& error) {
  if (error) EventLog().error("reload failed, configuration unchanged", {{"reason", *error}});
  reload_.reset();
  if (std::exchange(reload_pending_, false)) return begin_reload();
  service_->ready();
}

}  // namespace kcptun
