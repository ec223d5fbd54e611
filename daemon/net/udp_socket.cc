#include "daemon/net/udp_socket.h"

#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "core/base/check.h"
#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"

namespace kcptun {
namespace {

/// The kernel's UDP_MAX_SEGMENTS: 64 before Linux 6.9, 128 since. No header defines it.
constexpr std::size_t kMaxSegments = 64;
/// 65535 minus the IPv4 and UDP headers. IPv6 would allow 20 bytes more.
constexpr std::size_t kMaxGsoBytes = 65507;
/// Messages per sendmmsg. A batch of kBatchPackets without GSO takes two calls; the limit keeps the stack
/// frame small.
constexpr std::size_t kSendMessages = 64;
/// A connected socket reports one ICMP error per call. Further errors in a row are left for the next wake-up.
constexpr int kErrorsPerReceive = 8;
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
  const std::size_t limit = std::min({kMaxSegments, kMaxGsoBytes / size, end - first});
  std::size_t count = 1;
  while (count < limit && packets[first + count].size == size) ++count;
  if (count < limit && packets[first + count].size < size && packets[first + count].size > 0) ++count;
  return count;
}

enum class Refused { kMessage, kRun };

/// The scope of a permanent error: one message (its size, or a firewall rule), or the path to the peer.
Refused extent_of(int error) {
  return error == EMSGSIZE || error == EPERM ? Refused::kMessage : Refused::kRun;
}

/// The packets are valid, but the kernel has no space for them now.
bool must_wait(int error) { return error == EAGAIN || error == ENOBUFS || error == ENOMEM; }

}  // namespace

// ---- ReceiveArena ----
//
// Measured on loopback, two cores, Linux 6.18, 1350-byte packets. Nanoseconds per packet in the receiving
// calls:
//   UDP_GRO on, messages of 48 packets, 1024 packets queued:   4 slots 61, 8 slots 62, 16 slots 63
//   UDP_GRO on, one packet queued:                             1250
//   UDP_GRO on, sender does not coalesce, 512 packets queued:  4 slots 656, 8 slots 620, 16 slots 590
//   UDP_GRO off, 128 packets queued:                           recvmmsg of 16 to 64: 560-640, recvmsg 890
//   UDP_GRO off, one packet queued:                            recvmmsg 1250, recvmsg 1450
// Packet info costs 100 ns per message, which is negligible per packet under GRO. 16 slots would save 5%
// without coalescing and take twice the memory. 8 slots of 64 KiB stay in the L2 cache until the packets are
// decrypted, and an acknowledgement should not wait for more than their 384 packets. An unused slot costs
// nothing: prepare() resets only the slots of the last call.

ReceiveArena::ReceiveArena() {
  void* memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  madvise(memory, kBytes, MADV_NOHUGEPAGE);  // a huge page would make the whole arena resident
  memory_ = static_cast<std::uint8_t*>(memory);
  std::memset(headers_.data(), 0, sizeof headers_);
  for (std::size_t i = 0; i < kSlots; ++i) {
    headers_[i].msg_hdr.msg_iov = &vectors_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
  }
}

ReceiveArena::~ReceiveArena() { munmap(memory_, kBytes); }

void ReceiveArena::release() { madvise(memory_, kBytes, MADV_DONTNEED); }

void ReceiveArena::prepare(Layout layout) {
  if (!(layout == layout_)) {
    layout_ = layout;
    dirty_ = kSlots;
  }
  const std::size_t stride = layout.gro ? kGroStride : kPlainStride;
  const std::size_t size = layout.gro ? std::size_t{65535} : kPlainStride;
  const std::size_t count = std::min(dirty_, layout.slots());
  for (std::size_t i = 0; i < count; ++i) {
    msghdr& header = headers_[i].msg_hdr;
    vectors_[i] = {memory_ + i * stride, size};
    header.msg_name = layout.names ? &names_[i] : nullptr;
    header.msg_namelen = layout.names ? sizeof names_[i] : 0;
    header.msg_control = layout.control ? controls_[i].bytes : nullptr;
    header.msg_controllen = layout.control ? kControl : 0;
    header.msg_flags = 0;
  }
  dirty_ = 0;
}

// ---- construction ----

UdpSocket::UdpSocket(int descriptor, int family, const Options& options)
    : fd_(descriptor),
      family_(family),
      index_(options.index),
      syscalls_(options.syscalls),
      mmsg_(options.mmsg) {
  // A kernel before 4.18 ignores the control message and sends one huge datagram, so probe for support first.
  gso_ = options.gso && get_option(fd(), SOL_UDP, UDP_SEGMENT) >= 0;
  gro_ = options.gro && set_option(fd(), SOL_UDP, UDP_GRO, 1);
  set_buffers(options.buffer_bytes);
}

UdpSocket::Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

void UdpSocket::set_buffers(int bytes) {
  if (bytes > 0) {
    set_buffer(fd(), SO_RCVBUFFORCE, SO_RCVBUF, bytes);
    set_buffer(fd(), SO_SNDBUFFORCE, SO_SNDBUF, bytes);
  }
  receive_buffer_ = granted_buffer(fd(), SO_RCVBUF);
  send_buffer_ = granted_buffer(fd(), SO_SNDBUF);
}

Result<UdpSocket> UdpSocket::open(int family, const Options& options, const std::string& name) {
  const int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error("cannot open a UDP socket for " + name);
  return UdpSocket(fd, family, options);
}

Result<UdpSocket> UdpSocket::bind(const IpEndpoint& wanted, const Options& options) {
  const IpEndpoint local = usable_wildcard(wanted);
  const std::string name = to_string(local);
  const bool both_families = is_wildcard(local) && !is_ipv4(local);
  const int family = is_ipv4(local) ? AF_INET : AF_INET6;
  auto made = open(family, options, name);
  if (!made) return made;
  UdpSocket& opened = *made;
  if (family == AF_INET6) set_option(opened.fd(), IPPROTO_IPV6, IPV6_V6ONLY, both_families ? 0 : 1);
  if (options.reuse_port && !set_option(opened.fd(), SOL_SOCKET, SO_REUSEPORT, 1)) {
    return system_error("cannot share UDP " + name + " between loops");
  }
  const SocketAddress address = to_sockaddr(local, family);
  if (::bind(opened.fd(), address.get(), address.size) != 0) return system_error("cannot bind UDP " + name);
  opened.is_any_ = is_wildcard(local);
  opened.learn_local();
  if (options.receive_info && !opened.ask_for_destinations())
    return system_error("cannot learn the addresses asked at UDP " + name);
  return made;
}

Result<UdpSocket> UdpSocket::adopt(FileDescriptor bound, const IpEndpoint& local, const Options& options) {
  const int family = get_option(bound.get(), SOL_SOCKET, SO_DOMAIN);
  UdpSocket adopted(bound.release(), family, options);
  adopted.is_any_ = is_wildcard(local);
  adopted.learn_local();
  if (options.receive_info && !adopted.ask_for_destinations())
    return system_error("cannot learn the addresses asked at UDP " + to_string(local));
  return adopted;
}

// False: failed; errno is set.
bool UdpSocket::ask_for_destinations() {
  if (!is_any_) return true;
  const int level = family_ == AF_INET ? static_cast<int>(IPPROTO_IP) : static_cast<int>(IPPROTO_IPV6);
  receive_info_ = set_option(fd(), level, family_ == AF_INET ? IP_PKTINFO : IPV6_RECVPKTINFO, 1);
  return receive_info_;
}

Result<UdpSocket> UdpSocket::connect(const IpEndpoint& remote, const Options& options, FileDescriptor reserved) {
  const std::string name = to_string(remote);
  const SocketAddress address = to_sockaddr(remote);
  const int family = address.storage.ss_family;
  auto made = reserved.valid() ? UdpSocket(reserved.release(), family, options) : open(family, options, name);
  if (!made) return made;
  if (::connect(made->fd(), address.get(), address.size) != 0)
    return system_error("cannot connect UDP " + name);
  made->connected_ = true;
  made->remote_ = remote;
  made->learn_local();
  return made;
}

void UdpSocket::learn_local() {
  sockaddr_storage storage;
  socklen_t size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (getsockname(fd(), address, &size) != 0) return;
  if (auto endpoint = from_sockaddr(address, size)) local_ = *endpoint;
}

bool UdpSocket::set_dscp(std::uint8_t dscp) {
  const bool ipv4_too = family_ == AF_INET || dual_stack();
  if (family_ == AF_INET6 && !set_traffic_class(fd(), IPPROTO_IPV6, IPV6_TCLASS, dscp)) return false;
  return !ipv4_too || set_traffic_class(fd(), IPPROTO_IP, IP_TOS, dscp);
}

std::uint32_t UdpSocket::kernel_drops() const {
  std::uint32_t info[SK_MEMINFO_VARS] = {};
  socklen_t size = sizeof info;
  getsockopt(fd(), SOL_SOCKET, SO_MEMINFO, info, &size);
  return info[SK_MEMINFO_DROPS];
}

// ---- receiving ----

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
    counters_.refusals += connected_ && errno == ECONNREFUSED;
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

// ---- sending ----
//
// Measured in the same way. Nanoseconds per packet in the sending calls, which on loopback include delivery:
//   batch of 128:  UDP_SEGMENT x48 140-155 (with destination and source 138), sendmmsg 2150, sendmsg 2700
//   batch of 4:    UDP_SEGMENT 790, sendmmsg 2300, sendmsg 2700
//   batch of 2:    UDP_SEGMENT 1490, sendmmsg 2500, sendmsg 2800
//   batch of 1:    2850 for all three
// GSO therefore pays from two packets on.

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
  const std::size_t known = std::min(refusal_count_, kRefusals);
  for (std::size_t i = 0; i < known; ++i) {
    const StartupError& refusal = refusals_[i];
    if (refusal.remote == remote && size >= refusal.size && counters_.datagrams_sent < refusal.until) return false;
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
      refused_in_a_row_ = 0;
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
bool UdpSocket::refused_gso(const Path& path, std::uint32_t size, int error) {
  const bool by_kernel = error == ENOPROTOOPT || error == EOPNOTSUPP;
  if (!by_kernel && error != EIO && error != EINVAL && error != EMSGSIZE) return false;
  ++counters_.fell_back_gso;
  if (by_kernel) {
    gso_ = false;
    return true;
  }
  const std::uint64_t until = counters_.datagrams_sent + kRetryGsoAfter;
  refusals_[refusal_count_++ % kRefusals] = {connected_ ? remote_ : path.remote, error == EIO ? 0 : size, until};
  if (error != EIO) return true;
  if (++refused_in_a_row_ < kRefusals) return true;
  refused_in_a_row_ = 0;
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
  while (position + result.taken < batch.size()) {
    const std::size_t front = position + result.taken;
    set_fragments(batch.runs()[run_at(batch, front)].fragments);
    plan(batch, front, out);
    if (out.count == 0) break;
    ++counters_.send_calls;
    const int sent = send_messages(out.messages.data(), static_cast<unsigned>(out.count));
    if (sent > 0) {
      result.taken += account_sent(out.messages.data(), sent);
      out.front_retried = false;
      continue;
    }
    const int error = errno;
    if (worth_repeating(error, batch, front, out)) continue;
    stop(error, batch, front, out, result);
    break;
  }
  return result;
}

/// True if the packets at the front may succeed on a retry, perhaps without GSO.
bool UdpSocket::worth_repeating(int error, const TransmitBatch& batch, std::size_t front, Outgoing& out) {
  if (error == EINTR) return true;
  if (must_wait(error)) return false;
  if (connected_ &&
      !out.front_retried) {  // most likely an ICMP error of an earlier packet; the kernel did not try these
    ++counters_.pending_errors;
    counters_.refusals += error == ECONNREFUSED;
    return out.front_retried = true;
  }
  if (out.messages[0].msg_hdr.msg_iovlen == 1) return false;
  return refused_gso(batch.runs()[run_at(batch, front)].path, batch.packets()[front].size, error);
}

/// Records why the send ended at packet `front`, and drops packets that can never be sent.
void UdpSocket::stop(int error, const TransmitBatch& batch, std::size_t front, const Outgoing& out,
                     SendResult& result) {
  if (must_wait(error)) {
    ++counters_.would_block;
    result.state = error == EAGAIN ? SendState::kWouldBlock : SendState::kNoBuffers;
    return;
  }
  result.state = SendState::kDropped;
  result.error = error;
  result.dropped = extent_of(error) == Refused::kMessage ? out.messages[0].msg_hdr.msg_iovlen
                                                         : end_of(batch.runs()[run_at(batch, front)]) - front;
  result.taken += result.dropped;
  counters_.datagrams_dropped += result.dropped;
  ++(error == EMSGSIZE ? counters_.too_big : counters_.send_errors);
}

}  // namespace kcptun
