// The interface of a socket that carries datagrams: plain UDP, or UDP payloads in fake TCP segments. Each
// virtual call moves a batch of packets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/packet.h"
#include "core/base/path.h"

namespace kcptun {

class ReceiveArena;

/// Counters of one socket. "datagrams" are packets on the wire: each segment of a GSO or GRO message counts.
struct UdpCounters {
  std::uint64_t datagrams_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t datagrams_received = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t send_calls = 0;
  std::uint64_t receive_calls = 0;
  std::uint64_t gso_messages = 0;        // sent with UDP_SEGMENT
  std::uint64_t gro_messages = 0;        // received as more than one datagram
  std::uint64_t would_block = 0;         // deferred sends: EAGAIN, ENOBUFS
  std::uint64_t send_errors = 0;         // send errors that dropped packets, except too_big
  std::uint64_t datagrams_dropped = 0;   // not sent because of send_errors or too_big
  std::uint64_t too_big = 0;             // EMSGSIZE; included in datagrams_dropped
  std::uint64_t pending_errors = 0;      // ICMP errors reported on a connected socket; they drop no packet
  std::uint64_t connection_refused = 0;  // ECONNREFUSED; included in pending_errors
  std::uint64_t receive_errors = 0;      // other errors of recvmmsg
  std::uint64_t truncated = 0;           // dropped because the datagram exceeds a receive slot
  std::uint64_t malformed = 0;           // TCP segments with a wrong length or checksum
  std::uint64_t misrouted = 0;           // TCP segments of an unknown connection
  std::uint64_t gso_fallbacks = 0;  // GSO messages that the kernel rejected and that were resent without GSO
};

/// Consecutive datagrams from one peer, as GRO coalesced them: `stride` bytes each; the last may be shorter.
struct ReceivedRun {
  Path path;
  std::uint8_t* data = nullptr;
  std::uint32_t size = 0;    // > 0
  std::uint32_t stride = 0;  // 1..size

  std::size_t count() const { return (size + stride - 1) / stride; }
  /// REQUIRES: index < count().
  Packet packet(std::size_t index) const {
    const auto at = static_cast<std::uint32_t>(index) * stride;
    return {data + at, stride < size - at ? stride : size - at};
  }
};

/// One thread drives a socket. No call blocks.
class DatagramSocket {
 public:
  using Counters = UdpCounters;

  /// The result of one receive(). The views are valid until the next receive() or release() on the same
  /// arena.
  struct Received {
    std::span<const ReceivedRun> runs;
    bool dry = true;  // the socket is empty: wait for the poller. Can be false even if no run was returned.
  };

  enum class SendState {
    kDone,        // every packet up to the end of the batch, or up to a run of another socket
    kWouldBlock,  // the socket buffer is full: continue when the socket is writable
    kNoBuffers,   // the system is out of memory but reports the socket writable: retry after a short timer
    kDropped,     // the kernel rejected some packets permanently: check `error`, then continue
  };
  struct SendResult {
    SendState state = SendState::kDone;
    int error = 0;             // errno of kDropped: EMSGSIZE means larger than the path's MTU
    std::size_t consumed = 0;  // packets consumed from the position on: sent or dropped. Continue after them.
    std::size_t dropped = 0;   // the last `dropped` of `consumed` were dropped
  };

  DatagramSocket() = default;
  DatagramSocket(DatagramSocket&&) = default;
  DatagramSocket& operator=(DatagramSocket&&) = default;
  virtual ~DatagramSocket() = default;

  /// Receives what has arrived, with at most one system call that returns datagrams. Counts errors and never
  /// returns them.
  virtual Received receive(ReceiveArena& arena) = 0;
  /// Sends packets of the batch from `position` on, while the Path.socket of their run is this socket's
  /// index. Packets beyond `consumed` remain with the caller, which must not clear the batch before they are
  /// sent.
  virtual SendResult send(const TransmitBatch& batch, std::size_t position) = 0;

  /// Sets the six DSCP bits of outgoing packets, IPv4 and IPv6, and keeps the two ECN bits. False: failed;
  /// errno is set.
  virtual bool set_dscp(std::uint8_t dscp) = 0;

  /// Requests buffers of `bytes` if it is above 0. The getters below return what the kernel granted.
  virtual void set_buffers(int bytes) = 0;

  /// Readable when receive() has work to do. The descriptor is the same for the life of the socket.
  virtual int fd() const = 0;
  virtual std::uint32_t index() const = 0;
  virtual const IpEndpoint& local() const = 0;
  /// The size that the kernel granted, in the unit of set_buffers(). A smaller value than requested means
  /// that net.core.rmem_max or wmem_max clamped it.
  virtual int receive_buffer_bytes() const = 0;
  virtual int send_buffer_bytes() const = 0;
  virtual const Counters& counters() const = 0;
  /// True while the kernel cuts what is sent (UDP_SEGMENT), and joins what is received (UDP_GRO).
  virtual bool uses_gso() const { return false; }
  virtual bool uses_gro() const { return false; }
};

/// The result of send_batch(). `state` is kDone, kWouldBlock or kNoBuffers; for the last two, `socket` is the
/// index of the socket to wait for.
struct BatchSendResult {
  DatagramSocket::SendState state = DatagramSocket::SendState::kDone;
  std::uint32_t socket = 0;
  std::size_t position = 0;  // of the first packet that was not consumed
  std::size_t dropped = 0;   // rejected permanently, or addressed to a closed socket
};

/// Sends a batch with runs for several sockets. Path.socket is an index into `sockets`. Drops and counts
/// packets whose index is out of range or refers to a null socket.
BatchSendResult send_batch(std::span<DatagramSocket* const> sockets, const TransmitBatch& batch,
                           std::size_t position);

/// Index of the run that contains the packet at `position`. REQUIRES: position < batch.size().
std::size_t run_at(const TransmitBatch& batch, std::size_t position);
/// Position after the last packet of the run.
inline std::size_t end_of(const TransmitBatch::Run& run) { return std::size_t{run.first} + run.count; }

}  // namespace kcptun
