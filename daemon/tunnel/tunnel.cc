#include "daemon/tunnel/tunnel.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "config/address.h"
#include "config/forwards.h"
#include "daemon/io/listener.h"
#include "daemon/io/name_lookup.h"
#include "daemon/log/log.h"
#include "daemon/net/address.h"
#include "daemon/net/port_probe.h"
#include "daemon/system/free_memory.h"
#include "daemon/tunnel/quota_writer.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {
namespace {

// Engines of a server that take part in tcp mode.
constexpr std::size_t kFakeTcpLoops = 4;
// Descriptors that a server needs besides its sockets, including some connections. With fewer left, the start
// fails.
constexpr std::size_t kOtherDescriptors = 32;

// Each port of a range takes one socket per engine and address.
Result<bool> check_descriptors(const HostPort& listened, std::size_t addresses, std::size_t loops) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return true;
  const std::size_t ports = listened.port_max - listened.port_min + std::size_t{1};
  const std::size_t needed = ports * addresses * loops;
  if (!listened.is_range() || needed + kOtherDescriptors <= limit.rlim_cur) return true;
  return Error{"the port range of listen needs " + std::to_string(needed) + " descriptors (" +
               std::to_string(ports) + " ports, " + std::to_string(addresses) +
               (addresses == 1 ? " address, " : " addresses, ") + std::to_string(loops) +
               (loops == 1 ? " loop)" : " loops)") + " beside " + std::to_string(kOtherDescriptors) +
               " others, and the limit is " + std::to_string(limit.rlim_cur) +
               ": raise it (ulimit -n, LimitNOFILE=), or take fewer ports or --threads"};
}

// `ports`: the ports of the address's range that this tunnel has bound.
void warn_of_taken_ports(const Profile& profile, const IpEndpoint& address,
                         std::span<const std::uint16_t> ports) {
  const HostPort& listened = std::get<HostPort>(profile.local_address);
  std::vector<std::uint16_t> taken;
  for (std::uint32_t port = listened.port_min; port <= listened.port_max; ++port)
    if (!std::ranges::binary_search(ports, static_cast<std::uint16_t>(port)))
      taken.push_back(static_cast<std::uint16_t>(port));
  if (taken.empty()) return;
  IpEndpoint any = address;
  any.port = listened.port_min;
  EventLog(profile.name)
      .warning("ports in use by another program are skipped",
               {{"listen", to_string(any)}, {"numbers", ports_text(taken)}, {"used", ports.size()}});
}

// Said before the attempt, which the kernel might end by killing the process.
std::string no_memory_for_key(std::uint64_t needed, std::uint64_t free) {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  return "no memory to derive the key: crypt xchacha20-poly1305 takes " + std::to_string(needed / kMiB) +
         " MiB for a moment, and " + std::to_string(free / kMiB) +
         " MiB are free; a key of 256 random bits takes none: put \"raw256:\" and what --genkey prints at "
         "both ends";
}

}  // namespace

Tunnel::Tunnel(const Profile& profile, TunnelKeys keys, WorkerThreads& threads, MemoryQuota& memory)
    : profile_(profile), threads_(threads), memory_(memory), keys_(std::move(keys)) {
  if (profile.qpp) qpp_ = std::make_unique<QppPads>(profile.key, profile.qpp_count);
  wipe_keys(profile_);  // only values derived from them are used from here on
}

Result<std::unique_ptr<Tunnel>> Tunnel::make(const Profile& profile, WorkerThreads& threads,
                                             MemoryQuota& memory) {
  if (const auto needed = MasterKey::working_memory(profile.key, profile.crypt); needed > 0) {
    const auto free = free_memory();
    if (free && *free < needed) return Error{no_memory_for_key(needed, *free)};
  }
  Result<TunnelKeys> keys = TunnelKeys::derive(profile);
  if (!keys) return Error{keys.error()};
  std::unique_ptr<Tunnel> tunnel(new Tunnel(profile, std::move(*keys), threads, memory));
  if (profile.quota_file.empty()) return tunnel;
  Result<QuotaUses> uses = read_quota_file(profile.quota_file);
  if (!uses) return Error{uses.error()};
  tunnel->server_.accounts.load(std::move(*uses));
  return tunnel;
}

// Workers are destroyed before their engines, and all workers before any engine: they may post to each
// other's.
Tunnel::~Tunnel() {
  for (Worker& worker : workers_) worker.part.reset();
}

std::size_t Tunnel::engine_count() const {
  if (profile_.role == Role::kServer) return threads_.size();
  return std::min<std::size_t>(threads_.size(), profile_.conn.value_or(1));
}

Result<bool> Tunnel::open(const TunnelAddresses& addresses, std::size_t first_thread,
                          ListeningSockets& inherited) {
  add_loops(first_thread);
  if (profile_.tcp) {
    Result<std::unique_ptr<Firewall>> firewall = open_tcp_mode();
    if (!firewall) return Error{firewall.error()};
    firewall_ = std::move(*firewall);
    client_.firewall = firewall_.get();
  }
  Result<bool> opened =
      profile_.role == Role::kClient ? open_client(addresses, inherited) : open_server(addresses, inherited);
  if (!opened) return opened;
  for (Worker& worker : workers_) worker.engine->flush();  // work from before the start
  return true;
}

void Tunnel::add_loops(std::size_t first_thread) {
  first_thread_ = first_thread;
  for (std::size_t i = 0; i < engine_count(); ++i) {
    uv_loop_t& uv = threads_.uv((first_thread + i) % threads_.size());
    workers_.emplace_back().engine =
        std::make_unique<Engine>(uv, link_settings(profile_), keys_.make_suite(), qpp_.get());
    workers_.back().engine->context().memory = &memory_;
  }
}

void Tunnel::export_sockets(ListeningSockets& sockets) const {
  for (const Listened& one : listened_) {
    sockets.add(one.key, one.fd);
    if (one.file) sockets.add_file(one.key, one.file);
  }
}

Result<bool> Tunnel::open_server(const TunnelAddresses& addresses, ListeningSockets& inherited) {
  server_.loops = workers_.size();
  std::vector<ServerWorker*> parts;
  for (Worker& worker : workers_) {
    auto part = std::make_unique<ServerWorker>(profile_, *worker.engine, server_, addresses.remote);
    parts.push_back(part.get());
    worker.part = std::move(part);
  }
  const HostPort& listened = std::get<HostPort>(profile_.local_address);
  if (Result<bool> enough = check_descriptors(listened, addresses.local.size(), parts.size()); !enough)
    return enough;
  const std::uint16_t port_max = listened.port_max;
  for (IpEndpoint address : addresses.local) {
    const std::vector<std::uint16_t> ports =
        free_ports(address, port_max, PortKind::kUdp, [&inherited](const IpEndpoint& at) {
          return inherited.has(ListeningSockets::key(PortKind::kUdp, at));
        });
    warn_of_taken_ports(profile_, address, ports);
    for (const std::uint16_t port : ports) {
      address.port = port;
      if (Result<bool> opened = listen_on(address, parts, inherited); !opened) return opened;
    }
  }
  return profile_.tcp ? listen_fake_tcp(addresses.local, parts) : true;
}

// Only the first engines: each takes a share of the clients' ports, but the kernel delivers every segment to
// all of them. The rules cover only our own ports, because they would block the connections of other
// programs.
Result<bool> Tunnel::listen_fake_tcp(const std::vector<IpEndpoint>& addresses,
                                     std::span<ServerWorker* const> parts) {
  const std::uint16_t port_max = std::get<HostPort>(profile_.local_address).port_max;
  const auto loops = static_cast<std::uint32_t>(std::min<std::size_t>(parts.size(), kFakeTcpLoops));
  for (const IpEndpoint& address : addresses) {
    const std::vector<std::uint16_t> ports = free_ports(address, port_max, PortKind::kTcp, {});
    warn_of_taken_ports(profile_, address, ports);
    for (const PortRange& stretch : ranges_of(ports)) {
      Result<std::vector<FirewallRule>> rules =
          firewall_->suppress_kernel_segments_of(stretch.first, stretch.last);
      if (!rules) return Error{rules.error()};
      std::ranges::move(*rules, std::back_inserter(firewall_rules_));
    }
    for (std::uint32_t i = 0; i < loops; ++i)
      if (Result<bool> opened = parts[i]->listen_fake_tcp(address, ports, {i, loops}); !opened) return opened;
  }
  return true;
}

// Several engines need SO_REUSEPORT, with which a port that another program uses appears free. Probe it
// without.
Result<bool> Tunnel::listen_on(const IpEndpoint& address, std::span<ServerWorker* const> parts,
                               ListeningSockets& inherited) {
  const std::string key = ListeningSockets::key(PortKind::kUdp, address);
  std::vector<FileDescriptor> had = inherited.take(key);
  had.resize(parts.size());  // a server has an engine on every thread, so the number is the same as before
  const bool shared = parts.size() > 1;
  if (shared && !had.back().valid())
    if (Result<UdpSocket> probe = UdpSocket::bind(address, {}); !probe) return Error{probe.error()};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Result<int> listening = parts[i]->listen(address, shared, std::move(had[i]));
    if (!listening) return Error{listening.error()};
    listened_.push_back({key, *listening, nullptr});
  }
  return true;
}

void Tunnel::apply(const Profile& next, const std::vector<IpEndpoint>* remote) {
  profile_ = next;
  wipe_keys(profile_);
  for (Worker& worker : workers_) {
    worker.engine->set_link_settings(link_settings(profile_));
    worker.part->apply_profile(remote);
  }
}

void Tunnel::shut_down() {
  for (Worker& worker : workers_) {
    worker.part->shut_down();
    worker.engine->flush();
  }
}

// Collects values from several engines. The last one to arrive delivers the sum.
struct Tunnel::TotalsCollection {
  struct Share {
    TunnelTotals totals;
    std::uint64_t at;  // Engine::activity()
  };
  std::function<void(const std::vector<Share>&)> then;  // called on the first thread
  std::weak_ptr<bool> alive;
  std::vector<Share> shares;  // one per worker; each is written by its own engine
  std::atomic<std::size_t> missing;
};

void Tunnel::ask(const std::shared_ptr<TotalsCollection>& gathering, std::size_t index) {
  const Worker& worker = workers_[index];
  worker.engine->mailbox().post(
      [part = worker.part.get(), engine = worker.engine.get(), &threads = threads_, gathering, index] {
        gathering->shares[index] = {{part->counters(), part->streams(), part->peer()}, engine->activity()};
        if (gathering->missing.fetch_sub(1) > 1) return;
        threads.post(0, [gathering] {
          if (gathering->alive.lock()) gathering->then(gathering->shares);
        });
      });
}

namespace {

void add(TunnelTotals& sum, const TunnelTotals& one) {
  sum.counters.add(one.counters);
  sum.streams += one.streams;
  sum.peer = merge_parts(std::move(sum.peer), one.peer);
}

}  // namespace

void Tunnel::collect(std::function<void(const TunnelTotals&)> then) {
  auto gathering = std::make_shared<TotalsCollection>();
  gathering->alive = alive_;
  gathering->shares.resize(workers_.size());
  gathering->missing = workers_.size();
  gathering->then = [then = std::move(then)](const std::vector<TotalsCollection::Share>& shares) {
    TunnelTotals sum;
    for (const TotalsCollection::Share& share : shares) add(sum, share.totals);
    then(sum);
  };
  for (std::size_t i = 0; i < workers_.size(); ++i) ask(gathering, i);
}

void Tunnel::collect_active(std::function<void(const TunnelTotals&)> then) {
  std::vector<std::size_t> active;
  for (std::size_t i = 0; i < workers_.size(); ++i)
    if (workers_[i].engine->activity() != workers_[i].last_activity) active.push_back(i);
  auto gathering = std::make_shared<TotalsCollection>();
  gathering->alive = alive_;
  gathering->shares.resize(workers_.size());
  gathering->missing = active.size();
  gathering->then = [this, active,
                     then = std::move(then)](const std::vector<TotalsCollection::Share>& shares) {
    for (const std::size_t i : active) {
      workers_[i].said = shares[i].totals;
      workers_[i].last_activity = shares[i].at;
    }
    TunnelTotals sum;
    for (const Worker& worker : workers_) add(sum, worker.said);
    then(sum);
  };
  if (active.empty()) return gathering->then(gathering->shares);
  for (const std::size_t i : active) ask(gathering, i);
}

TunnelSnapshot Tunnel::described() const {
  TunnelSnapshot tunnel;
  tunnel.name = profile_.name.empty() ? "default" : profile_.name;
  tunnel.local = local_text(profile_);
  tunnel.remote = remote_text(profile_);
  return tunnel;
}

void Tunnel::add_to(const std::shared_ptr<StatusCollector>& gathering, std::size_t number) {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const std::size_t thread = (first_thread_ + i) % threads_.size();
    workers_[i].engine->mailbox().post(
        [gathering, number, thread, part = workers_[i].part.get(), engine = workers_[i].engine.get()] {
          TunnelSnapshot share = part->share();
          share.counters = part->counters();
          share.offload = engine->offload_use();
          for (SessionSnapshot& session : share.open_sessions) session.loop = thread;
          gathering->add_share(number, std::move(share));
        });
  }
}

namespace {

// Of a unix path nothing.
std::optional<Error> resolve_local(const Address& address, std::vector<IpEndpoint>& to) {
  const auto* local = std::get_if<HostPort>(&address);
  if (!local) return std::nullopt;
  Result<std::vector<IpEndpoint>> resolved = resolve(local->host, local->port_min);
  if (!resolved) return Error{resolved.error()};
  to = own_addresses(std::move(*resolved));
  return std::nullopt;
}

}  // namespace

Result<TunnelAddresses> resolve_tunnel(const Profile& profile) {
  TunnelAddresses addresses;
  const auto* remote = std::get_if<HostPort>(&profile.remote);
  if (const auto literal = remote ? parse_ip(remote->host, remote->port_min) : std::nullopt;
      literal && !remote->host.empty() && profile.servers.size() < 2)
    addresses.remote.push_back(*literal);
  if (profile.listens_at_local_address)
    if (auto error = resolve_local(profile.local_address, addresses.local)) return *error;
  addresses.forwards.resize(profile.forwards.size());
  for (std::size_t i = 0; i < profile.forwards.size(); ++i)
    if (auto error = resolve_local(profile.forwards[i].listen, addresses.forwards[i])) return *error;
  return addresses;
}

}  // namespace kcptun
