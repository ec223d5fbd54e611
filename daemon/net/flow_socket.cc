#include "daemon/net/flow_socket.h"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "daemon/net/address.h"
#include "daemon/net/original_destination.h"
#include "daemon/net/socket_options.h"
#include "daemon/net/udp_limits.h"

namespace kcptun {
namespace {

// Larger datagrams need IP fragments on common links, which GSO refuses: 1500 without the headers of IPv6 and
// UDP.
constexpr std::size_t kMaxGsoSegment = 1452;
// Of each direction, in bytes: 8 ms at 1 Gbit/s, longer than the loop is away. The system's default is 208
// KiB.
constexpr int kBufferBytes = 1024 * 1024;

}  // namespace

FlowArena::FlowArena() : memory_(std::make_unique_for_overwrite<std::uint8_t[]>(kMessages * kStride)) {}

Result<FlowSocket> FlowSocket::bind(const IpEndpoint& address, const Options& options) {
  return open(address, Destinations::kOwn, options);
}

Result<FlowSocket> FlowSocket::bind_tproxy(const IpEndpoint& address, const Options& options) {
  return open(address, Destinations::kForeignToo, options);
}

Result<FlowSocket> FlowSocket::adopt(FileDescriptor bound, const IpEndpoint& address,
                                     const Options& options) {
  return wrap(std::move(bound), usable_wildcard(address), options);
}

Result<FlowSocket> FlowSocket::open(const IpEndpoint& address, Destinations destinations,
                                    const Options& options) {
  const IpEndpoint local = usable_wildcard(address);
  const int family = is_ipv4(local) ? AF_INET : AF_INET6;
  FileDescriptor fd(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!fd.valid()) return system_error("cannot open a UDP socket");
  if (family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, is_wildcard(local) ? 0 : 1);
  set_buffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF, kBufferBytes);
  set_buffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF, kBufferBytes);
  if (destinations == Destinations::kForeignToo && !receive_foreign_datagrams(fd.get(), family))
    return system_error("cannot listen for TPROXY (needs CAP_NET_ADMIN) on UDP " + to_string(local));
  const SocketAddress name = to_sockaddr(local, family);
  if (::bind(fd.get(), name.get(), name.size) != 0) return system_error("cannot bind to " + to_string(local));
  return wrap(std::move(fd), local, options);
}

Result<FlowSocket> FlowSocket::wrap(FileDescriptor fd, const IpEndpoint& local, const Options& options) {
  set_option(fd.get(), IPPROTO_UDP, UDP_GRO, options.offload ? 1 : 0);
  FlowSocket socket(std::move(fd), is_ipv4(local) ? AF_INET : AF_INET6, options);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&bound), &size) != 0)
    return system_error("cannot read the address of a UDP socket");
  socket.local_ = from_sockaddr(reinterpret_cast<sockaddr*>(&bound), size).value_or(local);
  return socket;
}

bool FlowSocket::reaches(const IpEndpoint& to) const { return family_ == AF_INET6 || is_ipv4(to); }

// --- receiving ---

std::span<const FlowDatagramView> FlowSocket::receive(FlowArena& arena) {
  std::array<mmsghdr, FlowArena::kMessages> messages{};
  std::array<iovec, FlowArena::kMessages> vectors;
  std::array<sockaddr_in6, FlowArena::kMessages> names;
  struct Control {
    // Both families: an IPv6 socket reports IPv4 destinations as such.
    alignas(cmsghdr) std::uint8_t
        bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(sockaddr_in6)) + CMSG_SPACE(sizeof(sockaddr_in))];
  };
  std::array<Control, FlowArena::kMessages> controls;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    vectors[i] = {arena.memory_.get() + i * FlowArena::kStride, 65536};
    msghdr& header = messages[i].msg_hdr;
    header.msg_iov = &vectors[i];
    header.msg_iovlen = 1;
    header.msg_name = &names[i];
    header.msg_namelen = sizeof names[i];
    header.msg_control = controls[i].bytes;
    header.msg_controllen = sizeof controls[i].bytes;
  }
  arena.datagrams_.clear();
  for (int errors = 0; errors < 8; ++errors) {  // each call reports one pending ICMP error
    const int got = recvmmsg(fd(), messages.data(), messages.size(), 0, nullptr);
    if (got >= 0) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i)
        split(messages[i].msg_hdr, {static_cast<std::uint8_t*>(vectors[i].iov_base), messages[i].msg_len},
              arena.datagrams_);
      break;
    }
    if (errno == EAGAIN) break;
    if (errno != EINTR) ++counters_.refused;
  }
  counters_.received += arena.datagrams_.size();
  return arena.datagrams_;
}

void FlowSocket::split(const msghdr& header, MutableBytes message,
                       std::vector<FlowDatagramView>& into) const {
  const auto from = from_sockaddr(static_cast<const sockaddr*>(header.msg_name), header.msg_namelen);
  if (!from || (header.msg_flags & MSG_TRUNC)) return;
  std::size_t stride = message.size();
  IpEndpoint to;
  auto* next = const_cast<msghdr*>(&header);  // CMSG_NXTHDR is not const-correct
  for (cmsghdr* control = CMSG_FIRSTHDR(next); control; control = CMSG_NXTHDR(next, control))
    if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO)
      stride = static_cast<std::size_t>(std::max(1, control_value<int>(control)));
    else if (const auto original = original_destination(control))
      to = *original;
  do {
    const std::size_t size = std::min(stride, message.size());
    into.push_back({*from, message.first(size), to});
    message = message.subspan(size);
  } while (!message.empty());
}

// --- sending ---

void FlowSocket::queue(const IpEndpoint& to, Bytes payload) {
  queued_.push_back({to, payload});
  if (queued_.size() >= kMaxQueued) flush();
}

// Datagrams from `first` on that one UDP_SEGMENT message carries: of equal size; the last may be shorter.
std::size_t FlowSocket::run_length(std::size_t first) const {
  const std::size_t size = queued_[first].payload.size();
  if (!gso_ || size == 0 || size > kMaxGsoSegment) return 1;
  const std::size_t limit = std::min({kUdpMaxSegments, kMaxUdpPayload / size, queued_.size() - first});
  std::size_t count = 1;
  while (count < limit && queued_[first + count].to == queued_[first].to) {
    const std::size_t next = queued_[first + count].payload.size();
    if (next == 0 || next > size) break;
    ++count;
    if (next < size) break;
  }
  return count;
}

bool FlowSocket::send(std::size_t first, std::size_t count) {
  std::array<iovec, kUdpMaxSegments> vectors;
  for (std::size_t i = 0; i < count; ++i)
    vectors[i] = {const_cast<std::uint8_t*>(queued_[first + i].payload.data()),
                  queued_[first + i].payload.size()};
  SocketAddress name = to_sockaddr(queued_[first].to, family_);
  alignas(cmsghdr) std::uint8_t control[CMSG_SPACE(sizeof(std::uint16_t))];
  msghdr header{};
  header.msg_name = &name.storage;
  header.msg_namelen = name.size;
  header.msg_iov = vectors.data();
  header.msg_iovlen = count;
  if (count > 1) {
    header.msg_control = control;
    append_control(header, SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(queued_[first].payload.size()));
  }
  for (int tries = 0; tries < 3; ++tries) {
    if (sendmsg(fd(), &header, 0) >= 0) return true;
    if (errno == ECONNREFUSED) ++counters_.refused;  // of an earlier datagram
    if (errno != EINTR && errno != ECONNREFUSED) return false;
  }
  return false;
}

void FlowSocket::flush() {
  for (std::size_t first = 0; first < queued_.size();) {
    const std::size_t count = run_length(first);
    if (send(first, count)) {
      counters_.sent += count;
    } else if (count > 1 && errno != EAGAIN && errno != ENOBUFS) {
      gso_ = false;  // the kernel or the device does not segment
      continue;
    } else {
      counters_.dropped += count;
    }
    first += count;
  }
  queued_.clear();
}

}  // namespace kcptun
