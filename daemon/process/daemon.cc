#include "daemon/process/daemon.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "config/address.h"
#include "config/forwards.h"
#include "core/base/check.h"
#include "core/crypt/suite_table.h"
#include "daemon/log/held_log.h"
#include "daemon/log/log.h"
#include "daemon/process/daemon_reload.h"
#include "daemon/process/secrets.h"
#include "daemon/process/service_status.h"
#include "daemon/process/stop_signals.h"
#include "daemon/status/gathering.h"
#include "daemon/worker/snapshot_taker.h"
#include "daemon/worker/tunnel_keys.h"

namespace kcptun {

// Receives signals on the first loop.
class Daemon::Signals {
 public:
  Signals(uv_loop_t& loop, Daemon& threads) : stop_(loop, [&threads] { threads.stop(); }) {
    add(loop, threads, SIGUSR1, [](uv_signal_t* s, int) { of(s).log_counters(); });
    add(loop, threads, SIGHUP, [](uv_signal_t* s, int) { of(s).reload(); });
  }
  ~Signals() {
    for (uv_signal_t* handle : handles_)
      uv_close(reinterpret_cast<uv_handle_t*>(handle),
               [](uv_handle_t* closed) { delete reinterpret_cast<uv_signal_t*>(closed); });
  }

 private:
  static Daemon& of(uv_signal_t* handle) { return *static_cast<Daemon*>(handle->data); }
  void add(uv_loop_t& loop, Daemon& threads, int number, uv_signal_cb callback) {
    auto* handle = new uv_signal_t;
    // Opening the loop has already allocated everything that can fail.
    KCPTUN_CHECK(uv_signal_init(&loop, handle) == 0);
    handle->data = &threads;
    KCPTUN_CHECK(uv_signal_start(handle, callback, number) == 0);
    handles_.push_back(handle);
  }
  StopSignals stop_;
  std::vector<uv_signal_t*> handles_;
};

// Pings every loop, twice per interval that the service manager allows.
class Daemon::Watchdog {
 public:
  Watchdog(Daemon& threads, Duration period)
      : threads_(threads),
        half_ms_(static_cast<std::uint64_t>(std::max<std::int64_t>(1, period.count() / 2000))),
        timer_(threads.threads_->uv(0), [this] { beat(); }) {
    timer_.start(half_ms_);
  }

 private:
  void beat() {
    threads_.check_watchdog();
    timer_.start(half_ms_);
  }
  Daemon& threads_;
  const std::uint64_t half_ms_;
  TimerHandle timer_;
};

Daemon::Daemon(RunTunnels start, Reread reread) : running_(std::move(start)), reread_(std::move(reread)) {}

Daemon::~Daemon() = default;

Result<std::unique_ptr<Daemon>> Daemon::open(RunTunnels start, Reread reread) {
  std::unique_ptr<Daemon> threads(new Daemon(std::move(start), std::move(reread)));
  if (Result<bool> opened = threads->open_all(); !opened) return Error{opened.error()};
  return threads;
}

// A file with several tunnels may get more on a reload, so it starts one thread per core.
Result<bool> Daemon::open_all() {
  const Profile& first = running_.tunnels.front().profile;
  std::size_t count = first.threads ? first.threads : std::max(1u, std::thread::hardware_concurrency());
  if (!running_.several && first.role == Role::kClient)
    count = std::min<std::size_t>(count, first.conn.value_or(1));
  Result<std::unique_ptr<WorkerThreads>> threads = WorkerThreads::open(count);
  if (!threads) return Error{threads.error()};
  threads_ = std::move(*threads);
  memory_ = std::make_unique<ProcessMemory>(first.memory > 0 ? std::uint64_t{first.memory} << 20
                                                             : default_quota(memory_of_machine()));
  const auto prefix = [this](const ConfiguredTunnel& tunnel) {
    return running_.several ? "tunnel " + tunnel.profile.name + ": " : "";
  };
  std::vector<TunnelAddresses> addresses;
  for (const ConfiguredTunnel& tunnel : running_.tunnels) {
    Result<TunnelAddresses> found = resolve_tunnel(tunnel.profile);
    if (!found) return Error{prefix(tunnel) + found.error()};
    addresses.push_back(std::move(*found));
  }
  // Until here a signal ends the process at once (stop_at_once()), also during the name lookups above, which
  // may take long. Once clients can connect, a stop must clean up what was opened.
  signals_ = std::make_unique<Signals>(threads_->uv(0), *this);
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const ConfiguredTunnel& tunnel = running_.tunnels[i];
    if (Result<bool> opened = open_one(tunnel.profile, addresses[i]); !opened)
      return Error{prefix(tunnel) + opened.error()};
  }
  for (ConfiguredTunnel& tunnel : running_.tunnels) {
    replace_keys_by_digests(tunnel);
    wipe_keys(tunnel.profile);
  }
  return open_status();
}

Result<bool> Daemon::open_one(const Profile& profile, const TunnelAddresses& addresses) {
  Result<std::unique_ptr<Tunnel>> made = Tunnel::make(profile, *threads_, *memory_);
  if (!made) return Error{made.error()};
  auto loops = std::move(*made);
  ListeningSockets none;
  if (Result<bool> opened = loops->open(addresses, next_thread_, none); !opened) return opened;
  next_thread_ = (next_thread_ + loops->loops()) % threads_->size();
  auto writer = CounterWriter::make(threads_->uv(0), *loops);
  auto quotas = make_quota_writer(*loops);
  tunnels_.push_back({std::move(loops), std::move(writer), std::move(quotas)});
  return true;
}

// Only the first thread may log while a reload replaces the log.
std::unique_ptr<QuotaWriter> Daemon::make_quota_writer(const Tunnel& tunnel) {
  return QuotaWriter::make(
      tunnel.profile(), tunnel.accounts(),
      [threads = threads_.get()](Mailbox::Task task) { threads->post(0, std::move(task)); });
}

void Daemon::log_start(const Tunnel& tunnel) const {
  const Profile& profile = tunnel.profile();
  EventLog(profile.name)
      .info("tunnel started", {{"version", KCPTUN_VERSION},
                               {"from", local_text(profile)},
                               {"to", remote_text(profile)},
                               {"loops", tunnel.loops()}});
  EventLog(profile.name)
      .info("crypt", {{"suite", kCipherNames[static_cast<std::size_t>(profile.crypt)].name},
                      {"protects", suite_row(profile.crypt).protects}});
}

Result<bool> Daemon::run(ServiceNotifier& service) {
  if (Result<bool> started = start_threads(); !started) return started;
  service_ = &service;
  std::optional<Watchdog> pulse;
  if (service.watchdog()) pulse.emplace(*this, *service.watchdog());
  std::optional<ServiceStatus> status;
  if (service.listened_to())
    status.emplace(threads_->uv(0), service, running_.tunnels.front().profile.role,
                   [this](ServiceStatus::Take take) { collect_active(std::move(take)); });
  const std::vector<HeldLine> before = take_held_log();
  for (const Running& tunnel : tunnels_) log_start(*tunnel.loops);
  log_held(before);
  if (status_) EventLog().info("status served", {{"at", status_->place()}});
  service.ready();
  threads_->run();
  status_.reset();  // no other thread is left to answer it
  reload_.reset();
  signals_.reset();
  return true;
}

// All threads are created before the start is reported as complete, so that a failure can still be reported.
Result<bool> Daemon::start_threads() {
  if (status_)
    if (Result<bool> started = status_->start(); !started) return started;
  for (const Running& tunnel : tunnels_)
    if (tunnel.quotas)
      if (Result<bool> started = tunnel.quotas->start(); !started) return started;
  return threads_->start();
}

// Each tunnel closes its streams and notifies the peer in one last round.
void Daemon::stop() {
  if (std::exchange(stopping_, true)) return;
  service_->stopping();
  EventLog().info("stopping");
  threads_->run_exclusive([this] {
    for (const Running& tunnel : tunnels_) tunnel.loops->shut_down();
  });
  threads_->stop();
}

// The last loop to answer sends the notification on its own thread; one datagram is atomic. A blocked loop
// never answers, and the service manager receives nothing.
void Daemon::check_watchdog() {
  auto missing = std::make_shared<std::atomic<std::size_t>>(threads_->size());
  for (std::size_t i = 0; i < threads_->size(); ++i)
    threads_->post(i, [service = service_, missing] {
      if (missing->fetch_sub(1) == 1) service->alive();
    });
}

namespace {

void log_totals(const Profile& profile, const TunnelTotals& totals) {
  std::vector<LogField> fields;
  for (const auto& [name, value] : named_values(totals.counters)) fields.emplace_back(name, value);
  EventLog(profile.name).write(LogLevel::kInfo, "counters", fields);
}

// Sums over several tunnels.
struct TotalsCollection {
  std::function<void(const TunnelTotals&)> then;
  TunnelTotals sum;
  std::size_t missing;
};

}  // namespace

void Daemon::log_counters() {
  for (const Running& tunnel : tunnels_)
    tunnel.loops->collect(
        [&loops = *tunnel.loops](const TunnelTotals& totals) { log_totals(loops.profile(), totals); });
}

void Daemon::collect_active(std::function<void(const TunnelTotals&)> then) {
  auto collection = std::make_shared<TotalsCollection>(
      TotalsCollection{std::move(then), {.peer = {.state = PeerState::kConnected}}, tunnels_.size()});
  for (const Running& tunnel : tunnels_)
    tunnel.loops->collect_active([collection](const TunnelTotals& totals) {
      collection->sum.counters.add(totals.counters);
      collection->sum.streams += totals.streams;
      collection->sum.peer = merge_tunnels(std::move(collection->sum.peer), totals.peer);
      if (--collection->missing == 0) collection->then(collection->sum);
    });
}

// An option of the process, equal in every tunnel.
Result<bool> Daemon::open_status() {
  const Profile& profile = running_.tunnels.front().profile;
  if (!profile.status) return true;
  Result<std::unique_ptr<StatusServer>> server =
      StatusServer::open(*profile.status, profile.status_token, [this](StatusServer::Answer answer) {
        threads_->post(0, [this, answer = std::move(answer)] { collect_status(answer); });
      });
  if (!server) return Error{server.error()};
  status_ = std::move(*server);
  ProcessSnapshot now;
  take_process(now);
  started_ = now.time;
  return true;
}

// Runs on the first thread, which also adds and removes tunnels.
void Daemon::collect_status(StatusServer::Answer answer) {
  ProcessSnapshot begun;
  begun.role = running_.tunnels.front().profile.role;
  begun.started = started_;
  for (const Running& tunnel : tunnels_) begun.tunnels.push_back(tunnel.loops->described());
  auto collector = std::make_shared<StatusCollector>(std::move(begun), std::move(answer));
  for (std::size_t i = 0; i < tunnels_.size(); ++i) tunnels_[i].loops->add_to(collector, i);
  for (std::size_t i = 0; i < threads_->size(); ++i)
    threads_->post(i, [collector, i] { collector->add_loop({i, thread_cpu_seconds()}); });
}

}  // namespace kcptun
