#include "daemon/tunnel_threads.h"

#include <signal.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "daemon/log.h"
#include "daemon/net/address.h"
#include "daemon/net/listener.h"
#include "daemon/secrets.h"

namespace kcptun {
namespace {

using Addresses = std::vector<IpEndpoint>;

Result<Addresses> resolve_host(const HostPort& host) { return resolve(host.host, host.port_min); }

std::string to_text(const Address& address) {
  if (const auto* path = std::get_if<UnixPath>(&address)) return path->path;
  const HostPort& host = std::get<HostPort>(address);
  const bool bare = host.host.find(':') == std::string::npos;
  std::string text = bare ? host.host : fmt::format("[{}]", host.host);
  text += fmt::format(":{}", host.port_min);
  if (host.is_range()) text += fmt::format("-{}", host.port_max);
  return text;
}

Result<Addresses> resolve_dialled(const HostPort& host) { return resolve(dialled_host(host), host.port_min); }

}  // namespace

// Signals arrive on the first loop.
class TunnelThreads::Signals {
 public:
  Signals(uv_loop_t& loop, TunnelThreads& threads) {
    add(loop, threads, SIGINT, [](uv_signal_t* s, int) { of(s).stop(); });
    add(loop, threads, SIGTERM, [](uv_signal_t* s, int) { of(s).stop(); });
    add(loop, threads, SIGUSR1, [](uv_signal_t* s, int) { of(s).log_counters(); });
  }
  ~Signals() {
    for (uv_signal_t* handle : handles_)
      uv_close(reinterpret_cast<uv_handle_t*>(handle),
               [](uv_handle_t* closed) { delete reinterpret_cast<uv_signal_t*>(closed); });
  }

 private:
  static TunnelThreads& of(uv_signal_t* handle) { return *static_cast<TunnelThreads*>(handle->data); }
  void add(uv_loop_t& loop, TunnelThreads& threads, int number, uv_signal_cb callback) {
    auto* handle = new uv_signal_t;
    uv_signal_init(&loop, handle);
    handle->data = &threads;
    uv_signal_start(handle, callback, number);
    handles_.push_back(handle);
  }
  std::vector<uv_signal_t*> handles_;
};

// Asks for the counters every snmpperiod and appends them to snmplog. On the first loop.
class TunnelThreads::SnmpLog {
 public:
  SnmpLog(TunnelThreads& threads, std::string path, Duration period)
      : threads_(threads),
        loop_(*threads.workers_[0].loop),
        log_(std::move(path)),
        period_(period),
        due_(loop_.now() + period),
        timer_(loop_.uv(), [this] { handle_due(); }) {
    arm();
  }

 private:
  // Rows keep to the period however long each takes; those that were missed are not made up for.
  void handle_due() {
    due_ = std::max(due_ + period_, loop_.now());
    arm();
    threads_.gather_counters([this](const Counters& counters) { append(counters); });
  }

  void arm() {
    const Duration wait = std::max<Duration>(due_ - loop_.now(), Duration(0));
    timer_.start(static_cast<std::uint64_t>(std::chrono::ceil<milliseconds>(wait).count()));
  }

  void append(const Counters& counters) {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const Result<bool> appended = log_.append(now, counters);
    if (appended && failing_) spdlog::info("snmplog is written again");
    if (!appended && !failing_) spdlog::warn("snmplog: {}; it is tried again every {} s", appended.error(),
                                             std::chrono::duration_cast<seconds>(period_).count());
    failing_ = !appended;
  }

  TunnelThreads& threads_;
  Loop& loop_;
  const CounterLog log_;
  const Duration period_;
  TimePoint due_;
  bool failing_ = false;  // said so
  TimerHandle timer_;
};

TunnelThreads::TunnelThreads(const Profile& profile, MasterKey key) : profile_(profile), key_(std::move(key)) {
  if (profile.qpp) qpp_ = std::make_unique<QppPads>(profile.key, profile.qpp_count);
  wipe(profile_.key);  // what is derived from it does
}

// Parts go before their loops, all of them before any loop: they may post to each other's.
TunnelThreads::~TunnelThreads() {
  for (Worker& worker : workers_) worker.part.reset();
}

Result<std::unique_ptr<TunnelThreads>> TunnelThreads::open(const Profile& profile) {
  Result<MasterKey> key = MasterKey::derive(profile.key, profile.crypt);
  if (!key) return Error{key.error()};
  std::unique_ptr<TunnelThreads> threads(new TunnelThreads(profile, std::move(*key)));
  const Result<bool> opened = profile.role == Role::kClient ? threads->open_client() : threads->open_server();
  if (!opened) return Error{opened.error()};
  return threads;
}

std::size_t TunnelThreads::loop_count() const {
  std::size_t count = profile_.threads ? profile_.threads : std::max(1u, std::thread::hardware_concurrency());
  if (profile_.role == Role::kClient) count = std::min<std::size_t>(count, profile_.conn);
  return count;
}

Result<bool> TunnelThreads::add_loop() {
  LinkSettings settings = profile_.link;
  settings.rate_limit = profile_.ratelimit;
  Result<std::unique_ptr<Loop>> loop = Loop::open(settings, profile_.crypt, key_, qpp_.get());
  if (!loop) return Error{loop.error()};
  workers_.emplace_back().loop = std::move(*loop);
  return true;
}

Result<bool> TunnelThreads::open_client() {
  Result<Addresses> remotes = resolve_dialled(std::get<HostPort>(profile_.remote));
  if (!remotes) return Error{remotes.error()};
  for (std::size_t i = 0; i < loop_count(); ++i) {
    if (Result<bool> added = add_loop(); !added) return added;
    auto part = std::make_unique<ClientPart>(profile_, *workers_[i].loop, client_, *remotes);
    client_.parts.push_back(part.get());
    workers_[i].part = std::move(part);
  }
  // Listening sockets first: a start that fails says so in one line, before any session is dialled.
  Result<std::vector<FileDescriptor>> listening = open_listeners();
  if (!listening) return Error{listening.error()};
  for (std::size_t slot = 0; slot < profile_.conn; ++slot)
    if (Result<bool> added = client_.parts[slot % client_.parts.size()]->add_slot(slot); !added) return added;
  for (std::size_t i = 0; i < listening->size(); ++i) client_.parts[i]->listen(std::move((*listening)[i]));
  return true;
}

// One for each part on a TCP port, one for the first part on a unix path.
Result<std::vector<FileDescriptor>> TunnelThreads::open_listeners() {
  std::vector<FileDescriptor> sockets;
  if (const auto* path = std::get_if<UnixPath>(&profile_.local_address)) {
    Result<FileDescriptor> listening = listen_unix(*path);
    if (!listening) return Error{listening.error()};
    sockets.push_back(std::move(*listening));
    return sockets;
  }
  const Result<Addresses> locals = resolve_host(std::get<HostPort>(profile_.local_address));
  if (!locals) return Error{locals.error()};
  const bool shared = client_.parts.size() > 1;
  if (shared)  // with SO_REUSEPORT a port that another program has looks free
    if (Result<FileDescriptor> probe = listen_tcp(locals.value().front(), false); !probe) return Error{probe.error()};
  for (std::size_t i = 0; i < client_.parts.size(); ++i) {
    Result<FileDescriptor> listening = listen_tcp(locals.value().front(), shared);
    if (!listening) return Error{listening.error()};
    sockets.push_back(std::move(*listening));
  }
  return sockets;
}

Result<bool> TunnelThreads::open_server() {
  Addresses targets;
  if (const auto* target = std::get_if<HostPort>(&profile_.remote)) {
    Result<Addresses> resolved = resolve_dialled(*target);
    if (!resolved) return Error{resolved.error()};
    targets = std::move(*resolved);
  }
  const Result<Addresses> locals = resolve_host(std::get<HostPort>(profile_.local_address));
  if (!locals) return Error{locals.error()};
  std::vector<ServerPart*> parts;
  for (std::size_t i = 0; i < loop_count(); ++i) {
    if (Result<bool> added = add_loop(); !added) return added;
    auto part = std::make_unique<ServerPart>(profile_, *workers_[i].loop, server_, targets);
    parts.push_back(part.get());
    workers_[i].part = std::move(part);
  }
  const HostPort& listened = std::get<HostPort>(profile_.local_address);
  for (std::uint32_t port = listened.port_min; port <= listened.port_max; ++port) {
    IpEndpoint address = locals.value().front();
    address.port = static_cast<std::uint16_t>(port);
    if (Result<bool> opened = listen_on(address, parts); !opened) return opened;
  }
  return true;
}

// With SO_REUSEPORT, which several loops need, a port that another program has would look free: a probe tells.
Result<bool> TunnelThreads::listen_on(const IpEndpoint& address, std::span<ServerPart* const> parts) {
  const bool shared = parts.size() > 1;
  if (shared)
    if (Result<UdpSocket> probe = UdpSocket::bind(address, {}); !probe) return Error{probe.error()};
  for (ServerPart* part : parts)
    if (Result<bool> listening = part->listen(address, shared); !listening) return listening;
  return true;
}

// Asks every loop for a sign of life, twice in the time that the service manager allows.
class TunnelThreads::Pulse {
 public:
  Pulse(TunnelThreads& threads, Duration period)
      : threads_(threads),
        half_ms_(static_cast<std::uint64_t>(std::max<std::int64_t>(1, period.count() / 2000))),
        timer_(threads.workers_[0].loop->uv(), [this] { beat(); }) {
    timer_.start(half_ms_);
  }

 private:
  void beat() {
    threads_.check_pulse();
    timer_.start(half_ms_);
  }
  TunnelThreads& threads_;
  const std::uint64_t half_ms_;
  TimerHandle timer_;
};

void TunnelThreads::run(ServiceNotifier& service) {
  service_ = &service;
  const Signals signals(workers_[0].loop->uv(), *this);
  std::optional<Pulse> pulse;
  if (service.watchdog()) pulse.emplace(*this, *service.watchdog());
  std::optional<SnmpLog> snmp_log;
  if (!profile_.snmplog.empty() && profile_.snmpperiod.count() > 0)
    snmp_log.emplace(*this, profile_.snmplog, profile_.snmpperiod);
  spdlog::info("kcptun-uv {} carries {} to {} on {} loop{}", KCPTUN_VERSION, to_text(profile_.local_address),
               to_text(profile_.remote), workers_.size(), workers_.size() == 1 ? "" : "s");
  for (std::size_t i = 1; i < workers_.size(); ++i)
    workers_[i].thread = std::thread([loop = workers_[i].loop.get()] { loop->run(); });
  service.ready();
  workers_[0].loop->run();
  for (std::size_t i = 1; i < workers_.size(); ++i) workers_[i].thread.join();
}

// Each loop ends its streams, tells the peer in one last round, and stops.
void TunnelThreads::stop() {
  service_->stopping();
  for (Worker& worker : workers_)
    worker.loop->mailbox().post([&worker] {
      worker.part->shut_down();
      worker.loop->flush();
      worker.loop->stop();
    });
}

namespace {

// Sums that come from several loops; the last to come passes them on.
struct Gathering {
  std::function<void(const Counters&)> then;
  std::mutex mutex;
  Counters sum;
  std::size_t missing;
};

}  // namespace

// The last loop to answer tells, on its own thread: a datagram is sent as a whole. One that is stuck never answers, and
// the service manager hears nothing.
void TunnelThreads::check_pulse() {
  auto missing = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  for (Worker& worker : workers_)
    worker.loop->mailbox().post([service = service_, missing] {
      if (missing->fetch_sub(1) == 1) service->alive();
    });
}

void TunnelThreads::log_counters() {
  gather_counters([](const Counters& sum) { spdlog::info("counters {}", to_text(sum)); });
}

// Calls `then` on the first loop, while it runs.
void TunnelThreads::gather_counters(std::function<void(const Counters&)> then) {
  auto gathering = std::make_shared<Gathering>();
  gathering->then = std::move(then);
  gathering->missing = workers_.size();
  for (Worker& worker : workers_)
    worker.loop->mailbox().post([part = worker.part.get(), &first = *workers_[0].loop, gathering] {
      const Counters counters = part->counters();
      const std::lock_guard lock(gathering->mutex);
      gathering->sum.add(counters);
      if (--gathering->missing == 0) first.mailbox().post([gathering] { gathering->then(gathering->sum); });
    });
}

}  // namespace kcptun
