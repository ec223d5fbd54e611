// A raw socket that sends and receives whole TCP segments of one family in batches. The kernel writes the IP
// headers. The socket receives a copy of each arriving TCP segment that passes a BPF filter.
//
// It has no notion of connections. UV_WRITABLE does not work for it: when the socket is full, retry after a
// short delay.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/packet.h"
#include "core/base/path.h"
#include "core/base/result.h"
#include "daemon/net/datagram_socket.h"
#include "daemon/net/faketcp/tcp_segment.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// The segments that a raw socket receives: those with PSH or RST to these local ports. The remote port
/// selects the share of one loop.
struct SegmentFilter {
  std::uint16_t port_min = 0;
  std::uint16_t port_max = 0;
  std::uint32_t share = 0;  // remote port modulo `shares`
  std::uint32_t shares = 1;
};

class RawTcpSocket {
 public:
  /// Segments per call, in each direction.
  static constexpr std::size_t kBatch = 64;
  /// Bytes for one arriving segment: IP and TCP headers with all options, and the largest datagram.
  static constexpr std::size_t kSlot = 26 * 64;
  static_assert(kSlot >= 60 + 60 + kMaxDatagram);

  struct Arrival {
    IpEndpoint from;  // ports are 0
    IpEndpoint to;
    MutableBytes segment;
  };
  struct Arrivals {
    std::size_t count = 0;
    bool dry = true;
  };
  struct Departure {
    std::uint8_t header[kTcpHeader];
    Packet payload;
    const IpEndpoint* from = nullptr;
    const IpEndpoint* to = nullptr;
  };

  /// `family`: AF_INET or AF_INET6. Receives nothing before filter(). The error gives the kernel's reason.
  static Result<RawTcpSocket> open(int family, int buffer_bytes);

  /// False: failed; errno is set.
  bool filter(const SegmentFilter& wanted);
  /// One recvmmsg. Counts and omits anything that is not an IP packet with TCP in it.
  /// REQUIRES: memory.size() >= kBatch * kSlot, arrivals.size() >= kBatch.
  Arrivals receive(MutableBytes memory, std::span<Arrival> arrivals, UdpCounters& counters);
  /// One sendmmsg of at most kBatch segments. Returns the number sent, or -1 with errno.
  int send(std::span<Departure> departures);
  bool set_dscp(std::uint8_t dscp);
  /// Sets the fragmentation policy of later segments. The system's default applies until the first packet
  /// with DF.
  void set_fragments(TransmitBatch::Fragments fragments);
  void set_buffers(int bytes);

  int fd() const { return fd_.get(); }
  int family() const { return family_; }
  int receive_buffer_bytes() const { return receive_buffer_; }
  int send_buffer_bytes() const { return send_buffer_; }

 private:
  RawTcpSocket(FileDescriptor fd, int family) : fd_(std::move(fd)), family_(family) {}

  FileDescriptor fd_;
  int family_;
  TransmitBatch::Fragments fragments_ = TransmitBatch::Fragments::kAllowed;
  int receive_buffer_ = 0;
  int send_buffer_ = 0;
};

/// Hides fake TCP's data segments from the kernel's connection, or from those that a listener accepts. The
/// kernel treats its connection as idle, answers nothing and queues nothing. Handshake and closing segments
/// pass.
bool hide_data_from_kernel(int tcp_socket);
/// Makes the kernel assign a connection to a listener of the port by remote port modulo `shares`. Listeners
/// are numbered in the order in which they began to listen. Call it on any one of them.
bool share_by_remote_port(int listener, std::uint32_t shares);

}  // namespace kcptun
