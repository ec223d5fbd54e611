// The receiving half of UdpSocket.
#include "daemon/net/udp_socket.h"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"

namespace kcptun {
namespace {

/// A connected socket reports one ICMP error per call. Further errors in a row are left for the next wake-up.
constexpr int kErrorsPerReceive = 8;

}  // namespace

int UdpSocket::receive_messages(mmsghdr* messages, unsigned count) {
  if (mmsg_) {
    const int got = syscalls_.receive(fd(), messages, count, 0, nullptr);
    if (got >= 0 || errno != ENOSYS) return got;
    mmsg_ = false;
  }
  for (unsigned i = 0; i < count; ++i) {
    const ssize_t bytes = recvmsg(fd(), &messages[i].msg_hdr, 0);
    if (bytes < 0) return i > 0 ? static_cast<int>(i) : -1;
    messages[i].msg_len = static_cast<unsigned>(bytes);
  }
  return static_cast<int>(count);
}

UdpSocket::Received UdpSocket::receive(ReceiveArena& arena) {
  const ReceiveArena::Layout layout{gro_, !connected_, gro_ || receive_info_};
  const auto slots = static_cast<unsigned>(layout.slots());
  arena.prepare(layout);
  for (int errors = 0; errors < kErrorsPerReceive;) {
    ++counters_.receive_calls;
    const int got = receive_messages(arena.headers_.data(), slots);
    if (got >= 0) return {collect(arena, static_cast<std::size_t>(got)), static_cast<unsigned>(got) < slots};
    if (errno == EAGAIN) break;
    if (errno == EINTR) continue;
    ++errors;
    // A pending ICMP error for an earlier packet. This call consumed it, and datagrams may be queued behind
    // it.
    ++(connected_ ? counters_.pending_errors : counters_.receive_errors);
    counters_.connection_refused += connected_ && errno == ECONNREFUSED;
  }
  return {};
}

/// Converts the messages that the kernel filled into runs.
std::span<const ReceivedRun> UdpSocket::collect(ReceiveArena& arena, std::size_t messages) {
  arena.dirty_ = messages;
  std::size_t runs = 0;
  for (std::size_t i = 0; i < messages; ++i) {
    ReceivedRun& run = arena.runs_[runs];
    run.data = static_cast<std::uint8_t*>(arena.vectors_[i].iov_base);
    if (!fill_run(arena.headers_[i], run)) {
      ++counters_.truncated;
      continue;
    }
    counters_.datagrams_received += run.size > 0 ? run.count() : 1;
    counters_.bytes_received += run.size;
    counters_.gro_messages += run.size > run.stride;
    runs += run.size > 0;
  }
  return {arena.runs_.data(), runs};
}

/// False: the datagram was truncated.
bool UdpSocket::fill_run(const mmsghdr& message, ReceivedRun& run) const {
  const msghdr& header = message.msg_hdr;
  if (header.msg_flags & MSG_TRUNC) return false;
  run.size = message.msg_len;
  run.stride = run.size;
  run.path.local = local_;
  run.path.socket = index_;
  if (connected_) {
    run.path.remote = remote_;
  } else if (auto remote = from_sockaddr(static_cast<const sockaddr*>(header.msg_name), header.msg_namelen)) {
    run.path.remote = *remote;
  }
  if (header.msg_controllen > 0) read_control(header, run);
  return true;
}

void UdpSocket::read_control(const msghdr& header, ReceivedRun& run) const {
  auto* next = const_cast<msghdr*>(&header);  // CMSG_NXTHDR isn't const-correct
  for (cmsghdr* control = CMSG_FIRSTHDR(next); control; control = CMSG_NXTHDR(next, control)) {
    if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
      const int stride = control_value<int>(control);
      if (stride > 0) run.stride = std::min(run.size, static_cast<std::uint32_t>(stride));
    } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      run.path.local.ip = mapped_ipv4(control_value<in_pktinfo>(control).ipi_spec_dst);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      const auto info = control_value<in6_pktinfo>(control);
      if (info.ipi6_addr.s6_addr[0] == 0xff) continue;  // replies cannot come from a multicast address
      std::memcpy(run.path.local.ip.data(), &info.ipi6_addr, 16);
      run.path.local.scope =
          is_link_local(run.path.local) ? static_cast<std::uint32_t>(info.ipi6_ifindex) : 0;
    }
  }
}

}  // namespace kcptun
