#include "daemon/net/faketcp/raw_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>

#include "core/base/check.h"
#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"

namespace kcptun {
namespace {

constexpr std::uint32_t kEverything = 0xffffffff;
// Offsets in the TCP header.
constexpr std::uint32_t kSourcePort = 0, kDestinationPort = 2, kFlags = 13;

constexpr sock_filter op(int code, std::uint32_t k) { return BPF_STMT(static_cast<std::uint16_t>(code), k); }
constexpr sock_filter jump(int test, std::uint32_t k, std::uint8_t if_true, std::uint8_t if_false) {
  return BPF_JUMP(static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), k, if_true, if_false);
}
constexpr sock_filter keep() { return op(BPF_RET | BPF_K, kEverything); }
constexpr sock_filter refuse() { return op(BPF_RET | BPF_K, 0); }

template <std::size_t N>
bool attach(int fd, int option, std::array<sock_filter, N> program) {
  const sock_fprog whole{N, program.data()};
  return ::setsockopt(fd, SOL_SOCKET, option, &whole, sizeof whole) == 0;
}

struct Control {
  alignas(cmsghdr) std::uint8_t bytes[CMSG_SPACE(sizeof(in6_pktinfo))];
};

// The buffers of recvmmsg. Uninitialised except for the fields that prepare() writes.
struct Incoming {
  std::array<mmsghdr, RawTcpSocket::kBatch> messages;
  std::array<iovec, RawTcpSocket::kBatch> vectors;
  std::array<sockaddr_in6, RawTcpSocket::kBatch> names;
  std::array<Control, RawTcpSocket::kBatch> controls;

  void prepare(MutableBytes memory, bool ipv4) {
    for (std::size_t i = 0; i < RawTcpSocket::kBatch; ++i) {
      vectors[i] = {memory.data() + i * RawTcpSocket::kSlot, RawTcpSocket::kSlot};
      msghdr& header = messages[i].msg_hdr;
      header = {};
      header.msg_iov = &vectors[i];
      header.msg_iovlen = 1;
      if (ipv4) continue;  // the IP header contains both addresses
      header.msg_name = &names[i];
      header.msg_namelen = sizeof names[i];
      header.msg_control = controls[i].bytes;
      header.msg_controllen = sizeof controls[i].bytes;
    }
  }
};

bool read_ipv4(MutableBytes bytes, RawTcpSocket::Arrival& arrival) {
  const auto packet = parse_ipv4_packet(bytes);
  if (!packet) return false;
  arrival = {packet->from, packet->to, packet->payload};
  return true;
}

bool read_ipv6(msghdr& header, MutableBytes bytes, RawTcpSocket::Arrival& arrival) {
  const auto from = from_sockaddr(static_cast<const sockaddr*>(header.msg_name), header.msg_namelen);
  const cmsghdr* control = CMSG_FIRSTHDR(&header);
  if (!from || !control || control->cmsg_level != IPPROTO_IPV6 || control->cmsg_type != IPV6_PKTINFO)
    return false;
  const auto info = control_value<in6_pktinfo>(control);
  arrival.from = *from;
  arrival.from.port = 0;
  arrival.to = {};
  std::memcpy(arrival.to.ip.data(), &info.ipi6_addr, 16);
  if (is_link_local(arrival.to)) arrival.to.scope = static_cast<std::uint32_t>(info.ipi6_ifindex);
  arrival.segment = bytes;
  return true;
}

void address_ipv4(const RawTcpSocket::Departure& departure, msghdr& header) {
  in_pktinfo info{};
  info.ipi_spec_dst = ipv4_of(*departure.from);
  append_control(header, IPPROTO_IP, IP_PKTINFO, info);
}

void address_ipv6(const RawTcpSocket::Departure& departure, msghdr& header) {
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, departure.from->ip.data(), 16);
  info.ipi6_ifindex = departure.from->scope;
  append_control(header, IPPROTO_IPV6, IPV6_PKTINFO, info);
}

}  // namespace

bool hide_data_from_kernel(int tcp_socket) {
  return attach(
      tcp_socket, SO_ATTACH_FILTER,
      std::array{op(BPF_LD | BPF_B | BPF_ABS, kFlags), jump(BPF_JSET, kTcpFin | kTcpSyn | kTcpRst, 1, 0),
                 jump(BPF_JSET, kTcpPsh, 1, 0), keep(), refuse()});
}

bool share_by_remote_port(int listener, std::uint32_t shares) {
  const auto from_network_header = static_cast<std::uint32_t>(SKF_NET_OFF);
  return attach(
      listener, SO_ATTACH_REUSEPORT_CBPF,
      std::array{op(BPF_LD | BPF_B | BPF_ABS, from_network_header), op(BPF_ALU | BPF_RSH | BPF_K, 4),
                 jump(BPF_JEQ, 4, 0, 6),
                 // IPv4: the header's length is in 32-bit words
                 op(BPF_LD | BPF_B | BPF_ABS, from_network_header), op(BPF_ALU | BPF_AND | BPF_K, 0xf),
                 op(BPF_ALU | BPF_LSH | BPF_K, 2), op(BPF_MISC | BPF_TAX, 0),
                 op(BPF_LD | BPF_H | BPF_IND, from_network_header + kSourcePort), op(BPF_JMP | BPF_JA, 1),
                 // IPv6: the header has 40 bytes
                 op(BPF_LD | BPF_H | BPF_ABS, from_network_header + 40 + kSourcePort),
                 op(BPF_ALU | BPF_MOD | BPF_K, shares), op(BPF_RET | BPF_A, 0)});
}

Result<RawTcpSocket> RawTcpSocket::open(int family, int buffer_bytes) {
  RawTcpSocket opened(FileDescriptor(::socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP)),
                      family);
  if (!opened.fd_.valid() || !attach(opened.fd(), SO_ATTACH_FILTER, std::array{refuse()}))
    return system_error("no raw socket");
  if (family == AF_INET6 && !set_option(opened.fd(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1))
    return system_error("no packet info on a raw socket");
  opened.set_buffers(buffer_bytes);
  return opened;
}

bool RawTcpSocket::filter(const SegmentFilter& wanted) {
  // An IPv4 packet starts with its IP header, whose length the first step reads. An IPv6 packet starts with
  // TCP.
  const sock_filter start =
      family_ == AF_INET ? op(BPF_LDX | BPF_B | BPF_MSH, 0) : op(BPF_LDX | BPF_W | BPF_IMM, 0);
  return attach(
      fd(), SO_ATTACH_FILTER,
      std::array{start, op(BPF_LD | BPF_B | BPF_IND, kFlags), jump(BPF_JSET, kTcpPsh | kTcpRst, 0, 7),
                 op(BPF_LD | BPF_H | BPF_IND, kDestinationPort), jump(BPF_JGE, wanted.port_min, 0, 5),
                 jump(BPF_JGT, wanted.port_max, 4, 0), op(BPF_LD | BPF_H | BPF_IND, kSourcePort),
                 op(BPF_ALU | BPF_MOD | BPF_K, wanted.shares), jump(BPF_JEQ, wanted.share, 0, 1), keep(),
                 refuse()});
}

RawTcpSocket::Arrivals RawTcpSocket::receive(MutableBytes memory, std::span<Arrival> arrivals,
                                             UdpCounters& counters) {
  KCPTUN_CHECK(memory.size() >= kBatch * kSlot && arrivals.size() >= kBatch);
  Incoming incoming;
  incoming.prepare(memory, family_ == AF_INET);
  ++counters.receive_calls;
  const int got = ::recvmmsg(fd(), incoming.messages.data(), kBatch, 0, nullptr);
  if (got < 0) {
    counters.receive_errors += errno != EAGAIN && errno != EINTR;
    return {};
  }
  Arrivals result;
  for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
    mmsghdr& message = incoming.messages[i];
    const MutableBytes bytes = memory.subspan(i * kSlot, std::min<std::size_t>(message.msg_len, kSlot));
    if (message.msg_hdr.msg_flags & MSG_TRUNC) {
      ++counters.truncated;
    } else if (family_ == AF_INET ? read_ipv4(bytes, arrivals[result.count])
                                  : read_ipv6(message.msg_hdr, bytes, arrivals[result.count])) {
      ++result.count;
    } else {
      ++counters.malformed;
    }
  }
  result.dry = static_cast<std::size_t>(got) < kBatch;
  return result;
}

int RawTcpSocket::send(std::span<Departure> departures) {
  KCPTUN_CHECK(departures.size() <= kBatch);
  std::array<mmsghdr, kBatch> messages;
  std::array<std::array<iovec, 2>, kBatch> vectors;
  std::array<sockaddr_in6, kBatch> names;
  std::array<Control, kBatch> controls;
  for (std::size_t i = 0; i < departures.size(); ++i) {
    Departure& departure = departures[i];
    IpEndpoint to = *departure.to;
    to.port = 0;  // a raw socket interprets the port as the protocol
    const SocketAddress name = to_sockaddr(to, family_);
    std::memcpy(&names[i], &name.storage, name.size);
    vectors[i] = {iovec{departure.header, kTcpHeader}, iovec{departure.payload.data, departure.payload.size}};
    msghdr& header = messages[i].msg_hdr;
    header = {};
    header.msg_name = &names[i];
    header.msg_namelen = name.size;
    header.msg_iov = vectors[i].data();
    header.msg_iovlen = 2;
    header.msg_control = controls[i].bytes;
    if (family_ == AF_INET) {
      address_ipv4(departure, header);
    } else {
      address_ipv6(departure, header);
    }
  }
  return ::sendmmsg(fd(), messages.data(), static_cast<unsigned>(departures.size()), 0);
}

void RawTcpSocket::set_buffers(int bytes) {
  if (bytes > 0) {
    set_buffer(fd(), SO_RCVBUFFORCE, SO_RCVBUF, bytes);
    set_buffer(fd(), SO_SNDBUFFORCE, SO_SNDBUF, bytes);
  }
  receive_buffer_ = granted_buffer(fd(), SO_RCVBUF);
  send_buffer_ = granted_buffer(fd(), SO_SNDBUF);
}

void RawTcpSocket::set_fragments(TransmitBatch::Fragments fragments) {
  if (fragments == fragments_) return;
  fragments_ = fragments;
  set_fragments_option(fd(), family_, fragments);
}

bool RawTcpSocket::set_dscp(std::uint8_t dscp) {
  return family_ == AF_INET ? set_traffic_class(fd(), IPPROTO_IP, IP_TOS, dscp)
                            : set_traffic_class(fd(), IPPROTO_IPV6, IPV6_TCLASS, dscp);
}

}  // namespace kcptun
