#include "daemon/net/faketcp/socket.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"
#include "daemon/net/udp_limits.h"
#include "daemon/net/udp_socket.h"

namespace kcptun {
namespace {

constexpr std::size_t kEvents = 64;
constexpr std::uint16_t kWindow = 65535;
// Defined in linux/tcp.h, which conflicts with netinet/tcp.h.
constexpr int kRepairOffNoWindowProbe = -1;

// TTL 1 stops the kernel's segments at the first router if the firewall lets one pass. -1: the system's
// default.
bool set_ttl(int fd, int hops) {
  int family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return false;
  if (family == AF_INET) return set_option(fd, IPPROTO_IP, IP_TTL, hops);
  // A connection accepted by a dual-stack socket may be of either family.
  const bool ipv4 = set_option(fd, IPPROTO_IP, IP_TTL, hops);
  return set_option(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops) || ipv4;
}

// Linux's values of TCP_REPAIR_QUEUE, TCP_RECV_QUEUE and TCP_SEND_QUEUE there: not every C library names
// them.
constexpr int kReceiveQueue = 1;
constexpr int kSendQueue = 2;

std::optional<std::uint32_t> queue_sequence(int fd, int queue) {
  std::uint32_t sequence = 0;
  socklen_t size = sizeof sequence;
  if (!set_option(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue) ||
      getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &sequence, &size) != 0)
    return std::nullopt;
  return sequence;
}

// Reads the connection's sequence numbers in TCP repair mode, which needs CAP_NET_ADMIN.
std::optional<TcpSequence> read_sequence(int fd) {
  if (!set_option(fd, IPPROTO_TCP, TCP_REPAIR, 1)) return std::nullopt;
  const auto sending = queue_sequence(fd, kSendQueue);
  const auto receiving = queue_sequence(fd, kReceiveQueue);
  if (!set_option(fd, IPPROTO_TCP, TCP_REPAIR, kRepairOffNoWindowProbe) || !sending || !receiving)
    return std::nullopt;
  // Repair mode clears SO_REUSEADDR. Without it, the remains of this connection would keep a restarted server
  // from binding its port.
  if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return std::nullopt;
  return TcpSequence(*sending, *receiving);
}

template <typename Ask>
std::optional<IpEndpoint> ask_address(int fd, Ask ask) {
  sockaddr_storage name;
  socklen_t size = sizeof name;
  if (ask(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return std::nullopt;
  return from_sockaddr(reinterpret_cast<const sockaddr*>(&name), size);
}

}  // namespace

std::optional<FakeTcpConnection> make_fake_tcp_connection(FileDescriptor established) {
  const auto remote = ask_address(established.get(), ::getpeername);
  const auto local = ask_address(established.get(), ::getsockname);
  if (!remote || !local || !set_ttl(established.get(), 1)) return std::nullopt;
  const auto sequence = read_sequence(established.get());
  if (!sequence) return std::nullopt;
  return FakeTcpConnection{*remote, *local, std::move(established), *sequence, {}};
}

FakeTcpSocket::FakeTcpSocket(const Options& options)
    : options_(options), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

// Restores the system's TTL, so that the closing segment reaches the peer's kernel.
FakeTcpSocket::~FakeTcpSocket() {
  for (const FakeTcpConnection& connection : connections_) set_ttl(connection.idle.get(), -1);
}

Result<bool> FakeTcpSocket::open_raw(int family) {
  Result<RawTcpSocket> opened = RawTcpSocket::open(family, options_.buffer_bytes);
  if (!opened) return Error{opened.error()};
  if (!watch(opened->fd(), EPOLLIN)) return system_error("cannot watch a raw socket");
  raw_of(family == AF_INET).socket.emplace(std::move(*opened));
  return true;
}

bool FakeTcpSocket::filter_raw(const SegmentFilter& wanted) {
  return std::ranges::all_of(raw_, [&](Raw& raw) { return !raw.socket || raw.socket->filter(wanted); });
}

bool FakeTcpSocket::watch(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0 ||
         ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

bool FakeTcpSocket::set_dscp(std::uint8_t dscp) {
  return std::ranges::all_of(raw_, [dscp](Raw& raw) { return !raw.socket || raw.socket->set_dscp(dscp); });
}

void FakeTcpSocket::set_buffers(int bytes) {
  options_.buffer_bytes = bytes;
  for (Raw& raw : raw_)
    if (raw.socket) raw.socket->set_buffers(bytes);
}

int FakeTcpSocket::receive_buffer_bytes() const {
  int least = options_.buffer_bytes;
  for (const Raw& raw : raw_)
    if (raw.socket) least = std::min(least, raw.socket->receive_buffer_bytes());
  return least;
}

int FakeTcpSocket::send_buffer_bytes() const {
  int least = options_.buffer_bytes;
  for (const Raw& raw : raw_)
    if (raw.socket) least = std::min(least, raw.socket->send_buffer_bytes());
  return least;
}

// --- connections ---

void FakeTcpSocket::add(FakeTcpConnection connection) {
  if (connections_.size() >= options_.max_connections) drop(std::prev(connections_.end()));
  const Key key{connection.remote, connection.local};
  if (const auto old = by_address_.find(key); old != by_address_.end()) drop(old->second);
  if (!watch(connection.idle.get(), EPOLLRDHUP)) return;
  const int fd = connection.idle.get();
  connections_.push_front(std::move(connection));
  by_address_[key] = connections_.begin();
  by_descriptor_[fd] = connections_.begin();
}

void FakeTcpSocket::drop(Connections::iterator connection) {
  set_ttl(connection->idle.get(), -1);
  by_address_.erase({connection->remote, connection->local});
  by_descriptor_.erase(connection->idle.get());
  connections_.erase(connection);
}

FakeTcpConnection* FakeTcpSocket::find(const IpEndpoint& remote, const IpEndpoint& local) {
  const auto found = by_address_.find({remote, local});
  return found == by_address_.end() ? nullptr : &*found->second;
}

// --- receiving ---

// Closed connections come first: a new connection may reuse the descriptor of one that closed in the same
// round. New connections come next, so that the segments read afterwards find their connection.
void FakeTcpSocket::poll() {
  std::array<epoll_event, kEvents> events;
  const int got = ::epoll_wait(epoll_.get(), events.data(), kEvents, 0);
  const std::span ready(events.data(), static_cast<std::size_t>(std::max(got, 0)));
  for (epoll_event& event : ready) {
    const auto connection = by_descriptor_.find(event.data.fd);
    if (connection == by_descriptor_.end()) continue;
    drop(connection->second);
    event.data.fd = -1;
  }
  for (const epoll_event& event : ready) {
    const auto raw = std::ranges::find_if(
        raw_, [&](const Raw& one) { return one.socket && one.socket->fd() == event.data.fd; });
    if (raw != raw_.end()) {
      raw->readable = true;
    } else if (event.data.fd >= 0) {
      handle_ready(event.data.fd);
    }
  }
}

FakeTcpSocket::Received FakeTcpSocket::receive(ReceiveArena& arena) {
  poll();
  for (Raw& raw : raw_) {
    if (!raw.readable) continue;
    std::array<RawTcpSocket::Arrival, RawTcpSocket::kBatch> arrivals;
    const RawTcpSocket::Arrivals got = raw.socket->receive(arena.memory(), arrivals, counters_);
    raw.readable = false;
    const auto runs = take({arrivals.data(), got.count}, arena);
    return {runs, got.dry && !raw_[1].readable};
  }
  return {};
}

// Converts payloads into runs. Consecutive payloads of one connection are moved together, so that they are
// decrypted together.
std::span<const ReceivedRun> FakeTcpSocket::take(std::span<const RawTcpSocket::Arrival> arrivals,
                                                 ReceiveArena& arena) {
  std::uint8_t* to = arena.memory().data() + RawTcpSocket::kBatch * RawTcpSocket::kSlot;
  const std::span<ReceivedRun> runs = arena.runs();
  std::size_t count = 0;
  for (const RawTcpSocket::Arrival& arrival : arrivals) {
    TcpSegment segment;
    const FakeTcpConnection* connection = accept_segment(arrival, segment);
    if (!connection) continue;
    const auto size = static_cast<std::uint32_t>(segment.payload.size());
    std::memcpy(to, segment.payload.data(), size);
    ReceivedRun* last = count > 0 ? &runs[count - 1] : nullptr;
    if (last && last->size % last->stride == 0 && size <= last->stride &&
        last->path.remote == connection->remote && last->path.local == connection->local) {
      last->size += size;
    } else {
      runs[count++] = {{connection->remote, connection->local, options_.index}, to, size, size};
    }
    to += size;
    ++counters_.datagrams_received;
    counters_.bytes_received += size;
  }
  return runs.first(count);
}

// The connection of a segment that carries a datagram; null if the segment carries none.
FakeTcpConnection* FakeTcpSocket::accept_segment(const RawTcpSocket::Arrival& arrival, TcpSegment& segment) {
  const auto parsed = parse_tcp_segment(arrival.segment);
  if (!parsed) return ++counters_.malformed, nullptr;
  segment = *parsed;
  IpEndpoint from = arrival.from, to = arrival.to;
  from.port = segment.source_port;
  to.port = segment.destination_port;
  const auto found = by_address_.find({from, to});
  if (found == by_address_.end()) return ++counters_.misrouted, nullptr;
  const auto connection = found->second;
  if (segment.flags & kTcpRst) {
    if (connection->sequence.is_ended_by(segment)) {
      drop(connection);
    } else {
      ++counters_.misrouted;
    }
    return nullptr;
  }
  if ((segment.flags & (kTcpPsh | kTcpSyn | kTcpFin)) != kTcpPsh || segment.payload.empty() ||
      segment.payload.size() > kMaxDatagram || !tcp_checksum_holds(arrival.segment, from, to))
    return ++counters_.malformed, nullptr;
  connection->sequence.handle(segment);
  connections_.splice(connections_.begin(), connections_, connection);
  return &*connection;
}

// --- sending ---

// One sendmmsg call under construction. Uninitialised beyond `count`.
struct FakeTcpSocket::Outgoing {
  Outgoing() {}  // NOLINT(modernize-use-equals-default): = default would let {} zero it
  std::size_t count = 0;
  std::size_t lost = 0;  // packets at the front without a connection
  TransmitBatch::Fragments fragments = TransmitBatch::Fragments::kAllowed;
  bool ipv4 = false;
  std::array<RawTcpSocket::Departure, RawTcpSocket::kBatch> departures;
  std::array<FakeTcpConnection*, RawTcpSocket::kBatch> connections;

  void add(FakeTcpConnection& connection, const Packet& packet) {
    TcpSegment segment;
    segment.sequence = connection.sequence.take(packet.size);
    segment.acknowledgment = connection.sequence.acknowledgment();
    segment.flags = kTcpPsh | kTcpAck;
    segment.window = kWindow;
    segment.payload = packet.bytes();
    RawTcpSocket::Departure& departure = departures[count];
    departure.payload = packet;
    departure.from = &connection.local;
    departure.to = &connection.remote;
    write_tcp_header(departure.header, segment, connection.local, connection.remote);
    connections[count++] = &connection;
  }
  // Returns the sequence numbers of segments that were not sent.
  void return_unsent(std::size_t sent) {
    for (std::size_t i = sent; i < count; ++i) connections[i]->sequence.undo_take(departures[i].payload.size);
  }
};

// Fills `out` with packets from `position` on, while they belong to this socket, share a family and a
// fragmentation policy, and there is space.
void FakeTcpSocket::plan(const TransmitBatch& batch, std::size_t position, Outgoing& out) {
  out.count = out.lost = 0;
  out.fragments = batch.runs()[run_at(batch, position)].fragments;
  for (std::size_t r = run_at(batch, position); r < batch.runs().size(); ++r) {
    const TransmitBatch::Run& run = batch.runs()[r];
    if (run.count == 0) continue;
    if (run.path.socket != options_.index || run.fragments != out.fragments) return;
    if (!add_run(batch, run, position, out)) return;
    position = end_of(run);
  }
}

// False: there is no space for the whole run, or for any of it.
bool FakeTcpSocket::add_run(const TransmitBatch& batch, const TransmitBatch::Run& run, std::size_t position,
                            Outgoing& out) {
  const auto packets = batch.packets().subspan(position, end_of(run) - position);
  if (out.count > 0 && out.ipv4 != is_ipv4(run.path.remote)) return false;
  if (out.count == RawTcpSocket::kBatch) return false;
  // A run without a connection drops its packets, so it is only handled at the front.
  if (out.count > 0 && !find(run.path.remote, run.path.local)) return false;
  FakeTcpConnection* connection = connection_for(run.path, packets);
  if (!connection) {
    out.lost = packets.size();
    return false;
  }
  out.ipv4 = is_ipv4(connection->remote);
  for (const Packet& packet : packets) {
    if (out.count == RawTcpSocket::kBatch) return false;
    out.add(*connection, packet);
  }
  return true;
}

FakeTcpSocket::SendResult FakeTcpSocket::send(const TransmitBatch& batch, std::size_t position) {
  Outgoing out;
  SendResult result;
  while (position + result.consumed < batch.size() && result.state == SendState::kDone) {
    plan(batch, position + result.consumed, out);
    if (out.count > 0) {
      result.consumed += send_planned(out, result);
    } else if (out.lost > 0) {
      result.consumed += out.lost;
      result.dropped = out.lost;
      result.state = SendState::kDropped;
    } else {
      break;
    }
  }
  counters_.datagrams_dropped += result.dropped;
  return result;
}

// Returns the number of packets consumed. `result` says what stopped the call.
std::size_t FakeTcpSocket::send_planned(Outgoing& out, SendResult& result) {
  ++counters_.send_calls;
  RawTcpSocket& raw = *raw_of(out.ipv4).socket;
  raw.set_fragments(out.fragments);
  const int sent = raw.send({out.departures.data(), out.count});
  if (sent > 0) {
    const auto done = static_cast<std::size_t>(sent);
    for (std::size_t i = 0; i < done; ++i) counters_.bytes_sent += out.departures[i].payload.size;
    counters_.datagrams_sent += done;
    out.return_unsent(done);
    return done;
  }
  const int error = errno;
  if (is_transient(error)) {
    out.return_unsent(0);
    ++counters_.would_block;
    result.state = SendState::kNoBuffers;
    return 0;
  }
  if (error == EINTR) {
    out.return_unsent(0);
    return 0;
  }
  // The kernel rejected the first packet: for its size, or because of its destination.
  std::size_t refused = 1;
  if (error != EMSGSIZE && error != EPERM)
    while (refused < out.count && out.connections[refused] == out.connections[0]) ++refused;
  out.return_unsent(refused);
  ++(error == EMSGSIZE ? counters_.too_big : counters_.send_errors);
  result.state = SendState::kDropped;
  result.error = error;
  result.dropped = refused;
  return refused;
}

void FakeTcpSocket::send_now(FakeTcpConnection& connection, std::span<const Packet> packets) {
  while (!packets.empty()) {
    Outgoing out;
    out.ipv4 = is_ipv4(connection.remote);
    const std::size_t some = std::min(packets.size(), RawTcpSocket::kBatch);
    for (const Packet& packet : packets.first(some)) out.add(connection, packet);
    SendResult result;
    if (send_planned(out, result) < some) counters_.datagrams_dropped += some;
    packets = packets.subspan(some);
  }
}

}  // namespace kcptun
