// The sending half of UdpSocket.
#include "daemon/net/udp_socket.h"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"
#include "daemon/net/udp_limits.h"

namespace kcptun {

// Measured on loopback, two cores, Linux 6.18, 1350-byte packets. Nanoseconds per packet in the sending
// calls, which on loopback include delivery:
//   batch of 128:  UDP_SEGMENT x48 140-155 (with destination and source 138), sendmmsg 2150, sendmsg 2700
//   batch of 4:    UDP_SEGMENT 790, sendmmsg 2300, sendmsg 2700
//   batch of 2:    UDP_SEGMENT 1490, sendmmsg 2500, sendmsg 2800
//   batch of 1:    2850 for all three
// GSO therefore pays from two packets on.

namespace {

/// Messages per sendmmsg. A batch of kBatchPackets without GSO takes two calls; the limit keeps the stack
/// frame small.
constexpr std::size_t kSendMessages = 64;
/// Space for UDP_SEGMENT's uint16 and the larger packet info.
constexpr std::size_t kSendControl = CMSG_SPACE(sizeof(std::uint16_t)) + CMSG_SPACE(sizeof(in6_pktinfo));

std::size_t message_bytes(const msghdr& header) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < header.msg_iovlen; ++i) bytes += header.msg_iov[i].iov_len;
  return bytes;
}

/// Packets from `first` on that one UDP_SEGMENT message can carry: all of equal size, the last may be
/// shorter.
std::size_t segments_from(const TransmitBatch& batch, std::size_t first, std::size_t end) {
  const auto packets = batch.packets();
  const std::size_t size = packets[first].size;
  if (size == 0) return 1;
  const std::size_t limit = std::min({kUdpMaxSegments, kMaxUdpPayload / size, end - first});
  std::size_t count = 1;
  while (count < limit && packets[first + count].size == size) ++count;
  if (count < limit && packets[first + count].size < size && packets[first + count].size > 0) ++count;
  return count;
}

enum class ErrorScope { kMessage, kRun };

/// The scope of a permanent error: one message (its size, or a firewall rule), or the path to the peer.
ErrorScope scope_of(int error) {
  return error == EMSGSIZE || error == EPERM ? ErrorScope::kMessage : ErrorScope::kRun;
}

}  // namespace

/// One sendmmsg call under construction. Uninitialised on purpose: only the first `count` elements are ever
/// read.
struct UdpSocket::Outgoing {
  Outgoing() {}  // NOLINT(modernize-use-equals-default): = default would let {} zero 12 KB

  std::size_t count = 0;
  bool front_retried = false;  // the first message has already met a pending error
  std::array<mmsghdr, kSendMessages> messages;
  std::array<iovec, kBatchSlots> vectors;
  std::array<sockaddr_in6, kSendMessages> names;
  struct Control {
    alignas(cmsghdr) std::uint8_t bytes[kSendControl];
  };
  std::array<Control, kSendMessages> controls;
};

bool UdpSocket::may_segment(const IpEndpoint& remote, std::uint32_t size) const {
  const std::size_t known = std::min(gso_rejection_count_, kMaxGsoRejections);
  for (std::size_t i = 0; i < known; ++i) {
    const GsoRejection& rejection = gso_rejections_[i];
    if (rejection.remote == remote && size >= rejection.size && counters_.datagrams_sent < rejection.until)
      return false;
  }
  return true;
}

/// Sets the destination, and the source if the socket has several addresses. Writes the socket address in
/// place.
void UdpSocket::address(const Path& path, Outgoing& out, mmsghdr& message) const {
  msghdr& header = message.msg_hdr;
  const SocketAddress destination = to_sockaddr(path.remote, family_);
  sockaddr_in6& name = out.names[out.count];
  std::memcpy(&name, &destination.storage, destination.size);
  header.msg_name = &name;
  header.msg_namelen = destination.size;
  if (!receive_info_ || is_wildcard(path.local) || is_ipv4(path.local) != is_ipv4(path.remote)) return;
  if (family_ == AF_INET) {
    in_pktinfo info{};
    info.ipi_spec_dst = ipv4_of(path.local);
    append_control(header, IPPROTO_IP, IP_PKTINFO, info);
    return;
  }
  in6_pktinfo info{};  // Linux accepts mapped addresses here, too
  std::memcpy(&info.ipi6_addr, path.local.ip.data(), 16);
  info.ipi6_ifindex = path.local.scope;
  append_control(header, IPPROTO_IPV6, IPV6_PKTINFO, info);
}

/// Fills `out` with packets from `position` on, while they belong to this socket and there is space.
void UdpSocket::plan(const TransmitBatch& batch, std::size_t position, Outgoing& out) const {
  const auto packets = batch.packets();
  std::size_t vector = 0;
  out.count = 0;
  for (std::size_t r = run_at(batch, position); r < batch.runs().size(); ++r) {
    const TransmitBatch::Run& run = batch.runs()[r];
    if (run.path.socket != index_ || run.fragments != fragments_) return;
    while (position < end_of(run)) {
      if (out.count == kSendMessages) return;
      const std::uint32_t size = packets[position].size;
      const std::size_t segments =
          uses_gso() && may_segment(run.path.remote, size) ? segments_from(batch, position, end_of(run)) : 1;
      mmsghdr& message = out.messages[out.count];
      message = {};
      message.msg_hdr.msg_iov = &out.vectors[vector];
      message.msg_hdr.msg_iovlen = segments;
      message.msg_hdr.msg_control = out.controls[out.count].bytes;
      if (!connected_) address(run.path, out, message);
      if (segments > 1) {
        append_control(message.msg_hdr, SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(size));
      }
      for (std::size_t i = 0; i < segments; ++i, ++position) {
        out.vectors[vector++] = {packets[position].data, packets[position].size};
      }
      ++out.count;
    }
  }
}

int UdpSocket::send_messages(mmsghdr* messages, unsigned count) {
  if (mmsg_) {
    const int sent = syscalls_.send(fd(), messages, count, 0);
    if (sent >= 0 || errno != ENOSYS) return sent;
    mmsg_ = false;
  }
  for (unsigned i = 0; i < count; ++i) {
    if (sendmsg(fd(), &messages[i].msg_hdr, 0) < 0) return i > 0 ? static_cast<int>(i) : -1;
  }
  return static_cast<int>(count);
}

/// Returns the number of packets in the first `count` messages.
std::size_t UdpSocket::account_sent(const mmsghdr* messages, int count) {
  std::size_t packets = 0;
  for (int i = 0; i < count; ++i) {
    packets += messages[i].msg_hdr.msg_iovlen;
    if (messages[i].msg_hdr.msg_iovlen > 1) {
      ++counters_.gso_messages;
      consecutive_gso_rejections_ = 0;
    }
    counters_.bytes_sent += message_bytes(messages[i].msg_hdr);
  }
  counters_.datagrams_sent += packets;
  return packets;
}

/// True if `error`, of a message with UDP_SEGMENT, may come from segmentation; the same packets are then
/// resent without GSO. ENOPROTOOPT, EOPNOTSUPP: the kernel has no GSO for this socket; the error is
/// permanent. EIO: the device on the route to this peer has no checksum offload, or IPsec handles the
/// packets; other peers may be on another device. EINVAL, and EMSGSIZE on newer kernels: the segments exceed
/// the MTU of this path, and the packets need fragmentation.
bool UdpSocket::is_gso_error(const Path& path, std::uint32_t size, int error) {
  const bool by_kernel = error == ENOPROTOOPT || error == EOPNOTSUPP;
  if (!by_kernel && error != EIO && error != EINVAL && error != EMSGSIZE) return false;
  ++counters_.gso_fallbacks;
  if (by_kernel) {
    gso_ = false;
    return true;
  }
  const std::uint64_t until = counters_.datagrams_sent + kRetryGsoAfter;
  gso_rejections_[gso_rejection_count_++ % kMaxGsoRejections] = {connected_ ? remote_ : path.remote,
                                                                 error == EIO ? 0 : size, until};
  if (error != EIO) return true;
  if (++consecutive_gso_rejections_ < kMaxGsoRejections) return true;
  consecutive_gso_rejections_ = 0;
  gso_paused_until_ = until;
  return true;
}

/// The system's default applies until the first packet with DF.
void UdpSocket::set_fragments(TransmitBatch::Fragments fragments) {
  if (fragments == fragments_) return;
  fragments_ = fragments;
  if (family_ == AF_INET6) set_fragments_option(fd(), AF_INET6, fragments);
  if (family_ == AF_INET || dual_stack()) set_fragments_option(fd(), AF_INET, fragments);
}

UdpSocket::SendResult UdpSocket::send(const TransmitBatch& batch, std::size_t position) {
  Outgoing out;
  SendResult result;
  while (position + result.consumed < batch.size()) {
    const std::size_t front = position + result.consumed;
    set_fragments(batch.runs()[run_at(batch, front)].fragments);
    plan(batch, front, out);
    if (out.count == 0) break;
    ++counters_.send_calls;
    const int sent = send_messages(out.messages.data(), static_cast<unsigned>(out.count));
    if (sent > 0) {
      result.consumed += account_sent(out.messages.data(), sent);
      out.front_retried = false;
      continue;
    }
    const int error = errno;
    if (should_retry(error, batch, front, out)) continue;
    stop(error, batch, front, out, result);
    break;
  }
  return result;
}

/// True if the packets at the front may succeed on a retry, perhaps without GSO.
bool UdpSocket::should_retry(int error, const TransmitBatch& batch, std::size_t front, Outgoing& out) {
  if (error == EINTR) return true;
  if (is_transient(error)) return false;
  if (connected_ &&
      !out.front_retried) {  // most likely an ICMP error of an earlier packet; the kernel did not try these
    ++counters_.pending_errors;
    counters_.connection_refused += error == ECONNREFUSED;
    return out.front_retried = true;
  }
  if (out.messages[0].msg_hdr.msg_iovlen == 1) return false;
  return is_gso_error(batch.runs()[run_at(batch, front)].path, batch.packets()[front].size, error);
}

/// Records why the send ended at packet `front`, and drops packets that can never be sent.
void UdpSocket::stop(int error, const TransmitBatch& batch, std::size_t front, const Outgoing& out,
                     SendResult& result) {
  if (is_transient(error)) {
    ++counters_.would_block;
    result.state = error == EAGAIN ? SendState::kWouldBlock : SendState::kNoBuffers;
    return;
  }
  result.state = SendState::kDropped;
  result.error = error;
  result.dropped = scope_of(error) == ErrorScope::kMessage
                       ? out.messages[0].msg_hdr.msg_iovlen
                       : end_of(batch.runs()[run_at(batch, front)]) - front;
  result.consumed += result.dropped;
  counters_.datagrams_dropped += result.dropped;
  ++(error == EMSGSIZE ? counters_.too_big : counters_.send_errors);
}

}  // namespace kcptun
