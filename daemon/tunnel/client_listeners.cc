// Where a client's tunnel listens: localaddr and the forwards.
#include <fcntl.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "config/forwards.h"
#include "daemon/client/entrance.h"
#include "daemon/io/listener.h"
#include "daemon/net/port_probe.h"
#include "daemon/tunnel/tunnel.h"
#include "daemon/tunnel/unix_access.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {

/// A listening address of the profile, and what it resolved to.
struct Tunnel::ListenPlace {
  const Address& address;
  const std::vector<IpEndpoint>& endpoints;  // empty for a unix path
  bool tproxy = false;

  std::string key(const IpEndpoint& endpoint) const {
    return (tproxy ? "tproxy " : "") + ListeningSockets::key(PortKind::kTcp, endpoint);
  }
  Result<FileDescriptor> listen(const IpEndpoint& endpoint, bool shared) const {
    return tproxy ? listen_tproxy(endpoint, shared) : listen_tcp(endpoint, shared);
  }
};

// Opens the listening sockets first. A failed start then logs one line, before any session is dialled.
Result<bool> Tunnel::open_client(const TunnelAddresses& addresses, ListeningSockets& inherited) {
  client_.forwards = std::vector<ForwardCounters>(profile_.forwards.size() + profile_.reverses.size());
  for (Worker& worker : workers_) {
    auto part = std::make_unique<ClientWorker>(profile_, *worker.engine, client_, addresses.remote);
    client_.parts.push_back(part.get());
    worker.part = std::move(part);
  }
  SocketsByPart plain(client_.parts.size());
  if (profile_.listens_at_local_address) {
    Result<SocketsByPart> opened = open_listeners({profile_.local_address, addresses.local}, inherited);
    if (!opened) return Error{opened.error()};
    plain = std::move(*opened);
  }
  std::vector<SocketsByPart> forwarded;
  for (std::size_t i = 0; i < profile_.forwards.size(); ++i) {
    Result<SocketsByPart> opened = open_forward(i, addresses.forwards[i], inherited);
    if (!opened) return Error{"forward " + listen_text(profile_.forwards[i]) + ": " + opened.error()};
    forwarded.push_back(std::move(*opened));
  }
  for (std::size_t slot = 0; slot < profile_.conn.value_or(kMaxAutoSessions); ++slot)
    client_.parts[slot % client_.parts.size()]->add_slot(slot);
  for (ClientWorker* part : client_.parts) part->fill_reserve();
  if (!profile_.reverses.empty()) client_.parts.front()->keep_reverses();
  for (std::size_t i = 0; i < plain.size(); ++i) {
    for (FileDescriptor& fd : plain[i]) client_.parts[i]->listen(std::move(fd));
    for (std::size_t j = 0; j < forwarded.size(); ++j)
      for (FileDescriptor& fd : forwarded[j][i])
        client_.parts[i]->listen(std::move(fd), profile_.forwards[j]);
  }
  return true;
}

// Returns the sockets that accept streams. Those for datagrams are the first worker's.
Result<Tunnel::SocketsByPart> Tunnel::open_forward(std::size_t number,
                                                   const std::vector<IpEndpoint>& addresses,
                                                   ListeningSockets& inherited) {
  const Forward& forward = profile_.forwards[number];
  const bool tproxy = forward.kind == ForwardKind::kTproxy;
  if (forward.kind == ForwardKind::kUdp || tproxy)
    if (Result<bool> opened = open_udp(number, addresses, inherited); !opened) return Error{opened.error()};
  if (forward.kind == ForwardKind::kUdp) return SocketsByPart(client_.parts.size());
  return open_listeners({forward.listen, addresses, tproxy}, inherited);
}

// The first worker has the entrance, and so its sessions have all flows.
Result<bool> Tunnel::open_udp(std::size_t number, const std::vector<IpEndpoint>& addresses,
                              ListeningSockets& inherited) {
  const Forward& forward = profile_.forwards[number];
  std::optional<Socks5Address> target;
  if (forward.target) {
    target = destination_of(forward.target->host, forward.target->port_min);
    if (!target) return Error{"SOCKS5 cannot carry the target's name"};
  }
  for (const IpEndpoint& address : addresses) {
    const std::string key = (target ? "" : "tproxy ") + ListeningSockets::key(PortKind::kUdp, address);
    std::vector<FileDescriptor> had = inherited.take(key);
    const FlowSocket::Options options = flow_options(profile_);
    Result<FlowSocket> socket = !had.empty() ? FlowSocket::adopt(std::move(had.front()), address, options)
                                : target     ? FlowSocket::bind(address, options)
                                             : FlowSocket::bind_tproxy(address, options);
    if (!socket) return Error{socket.error()};
    listened_.push_back({key, socket->fd(), nullptr});
    Result<IpEndpoint> bound =
        client_.parts.front()->listen_udp(std::move(*socket), target, &client_.forwards[number]);
    if (!bound) return Error{bound.error()};
  }
  return true;
}

// One socket per worker on each TCP address, one for the first worker on a unix path.
Result<Tunnel::SocketsByPart> Tunnel::open_listeners(const ListenPlace& place, ListeningSockets& inherited) {
  SocketsByPart sockets(client_.parts.size());
  if (const auto* path = std::get_if<UnixPath>(&place.address)) {
    Result<FileDescriptor> listening = open_unix_listener(*path, inherited);
    if (!listening) return Error{listening.error()};
    sockets[0].push_back(std::move(*listening));
    return sockets;
  }
  const bool shared = sockets.size() > 1;
  for (const IpEndpoint& address : place.endpoints) {
    const std::string key = place.key(address);
    std::vector<FileDescriptor> had = distribute(inherited.take(key), sockets.size());
    if (shared && had.empty())  // with SO_REUSEPORT, a port that another program uses appears free
      if (Result<FileDescriptor> probe = place.listen(address, false); !probe) return Error{probe.error()};
    for (std::size_t i = 0; i < std::max(sockets.size(), had.size()); ++i) {
      Result<FileDescriptor> listening = had.empty() ? place.listen(address, shared) : std::move(had[i]);
      if (!listening) return Error{listening.error()};
      listened_.push_back({key, listening->get(), nullptr});
      sockets[i % sockets.size()].push_back(std::move(*listening));
    }
  }
  return sockets;
}

Result<FileDescriptor> Tunnel::open_unix_listener(const UnixPath& path, ListeningSockets& inherited) {
  const std::string key = ListeningSockets::key(path);
  std::vector<FileDescriptor> had = inherited.take(key);
  if (!had.empty()) {
    listened_.push_back({key, had.front().get(), inherited.file(key)});
    return std::move(had.front());
  }
  Result<UnixAccess> access = unix_access(profile_, path);
  if (!access) return Error{access.error()};
  Result<FileDescriptor> listening = listen_unix(path, *access);
  if (!listening) return listening;
  listened_.push_back({key, listening->get(), std::make_shared<SocketFile>(path)});
  return listening;
}

// Duplicates sockets until each worker has one, so that several accept from the same socket; none if
// `sockets` is empty. Surplus sockets are listened on, too, because their queues may hold connections.
std::vector<FileDescriptor> Tunnel::distribute(std::vector<FileDescriptor> sockets, std::size_t parts) {
  const std::size_t had = sockets.size();
  for (std::size_t i = 0; had > 0 && sockets.size() < parts; ++i)
    sockets.emplace_back(::fcntl(sockets[i % had].get(), F_DUPFD_CLOEXEC, 0));
  return sockets;
}

}  // namespace kcptun
