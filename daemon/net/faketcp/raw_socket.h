// A raw socket that sends and receives whole TCP segments of one family in batches. The kernel makes the IP
// headers; it gives this socket a copy of what arrives for TCP, as far as a filter in the kernel lets it.
//
// It knows nothing of connections. Not fit for UV_WRITABLE: when it is full, try again after a short while.
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

/// Which segments a raw socket gets: those with PSH or RST to these local ports; of them the share of one
/// loop, by the remote port.
struct SegmentFilter {
  std::uint16_t port_min = 0;
  std::uint16_t port_max = 0;
  std::uint32_t share = 0;  // remote port modulo `shares`
  std::uint32_t shares = 1;
};

class RawTcpSocket {
 public:
  /// Segments of one call, either way.
  static constexpr std::size_t kBatch = 64;
  /// Memory for one that arrives: IP and TCP headers with all the options that fit, and the largest datagram.
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

  /// `family`: AF_INET or AF_INET6. Gets nothing before filter(). The error says what the kernel refused.
  static Result<RawTcpSocket> open(int family, int buffer_bytes);

  /// False: refused, errno.
  bool filter(const SegmentFilter& wanted);
  /// One recvmmsg. REQUIRES: memory.size() >= kBatch * kSlot, arrivals.size() >= kBatch. What is not even an
  /// IP packet with TCP in it is counted and left out.
  Arrivals receive(MutableBytes memory, std::span<Arrival> arrivals, UdpCounters& counters);
  /// One sendmmsg of at most kBatch: how many were sent, or -1 with errno.
  int send(std::span<Departure> departures);
  bool set_dscp(std::uint8_t dscp);
  /// Of what is sent from now on. Until the first that must stay whole, the system decides.
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

/// Keeps the data segments of the disguise from the kernel's own connection, or from those that a listener
/// accepts: the kernel sees its idle connection as idle, answers nothing, and keeps nothing. Beginnings and
/// ends pass.
bool keep_data_from_kernel(int tcp_socket);
/// Makes the kernel give a connection to the listener number (remote port modulo `shares`) of a port, in the
/// order in which they began to listen. On any one of them.
bool share_by_remote_port(int listener, std::uint32_t shares);

}  // namespace kcptun
