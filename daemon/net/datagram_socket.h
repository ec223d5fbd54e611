// What the loop knows of a socket that carries datagrams: UDP, or UDP's datagrams dressed up as TCP segments.
// One virtual call moves a batch, none a packet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/packet.h"
#include "core/base/path.h"

namespace kcptun {

class ReceiveArena;

/// What a socket has done. "datagrams" are packets on the wire: those of a GSO or GRO message count each.
struct UdpCounters {
  std::uint64_t datagrams_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t datagrams_received = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t send_calls = 0;
  std::uint64_t receive_calls = 0;
  std::uint64_t gso_messages = 0;       // sent with UDP_SEGMENT
  std::uint64_t gro_messages = 0;       // received as more than one datagram
  std::uint64_t would_block = 0;        // sends put off: EAGAIN, ENOBUFS
  std::uint64_t send_errors = 0;        // refusals by the kernel that dropped packets, too_big excluded
  std::uint64_t datagrams_dropped = 0;  // not sent, for any such reason
  std::uint64_t too_big = 0;            // of them: EMSGSIZE
  std::uint64_t pending_errors = 0;     // ICMP errors that a connected socket reported; nothing lost by them
  std::uint64_t refusals = 0;           // of them: nobody listens on the peer's port
  std::uint64_t receive_errors = 0;     // anything else that recvmmsg said
  std::uint64_t truncated = 0;          // received, larger than a slot, dropped
  std::uint64_t malformed = 0;          // TCP segments whose lengths or checksum lie
  std::uint64_t misrouted = 0;             // TCP segments of no connection that is known
  std::uint64_t fell_back_gso = 0;      // times that a GSO message was refused and its packets went out plain
};

/// Consecutive datagrams from one peer, as GRO glued them: `stride` bytes each, the last may be shorter.
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

class DatagramSocket {
 public:
  using Counters = UdpCounters;

  /// What one receive() brought. The views live until the next receive() or release() with the same arena.
  struct Received {
    std::span<const ReceivedRun> runs;
    bool dry = true;  // nothing was left behind: wait for the poller. Runs may be empty though not dry.
  };

  enum class SendState {
    kDone,        // every packet up to the batch's end, or up to a run of another socket
    kWouldBlock,  // the socket is full: go on when it is writable
    kNoBuffers,   // the system is short of memory, yet the socket counts as writable: go on after a short
                  // timer
    kDropped,     // the kernel refuses some packets for good: look at `error`, then go on
  };
  struct SendResult {
    SendState state = SendState::kDone;
    int error = 0;            // errno of kDropped: EMSGSIZE means larger than the path's MTU
    std::size_t taken = 0;    // packets dealt with, from the position on: sent or dropped. Go on behind them.
    std::size_t dropped = 0;  // of them, those at the end that were dropped
  };

  DatagramSocket() = default;
  DatagramSocket(DatagramSocket&&) = default;
  DatagramSocket& operator=(DatagramSocket&&) = default;
  virtual ~DatagramSocket() = default;

  /// What has arrived, with at most one system call that brings datagrams. Errors are counted, never
  /// returned.
  virtual Received receive(ReceiveArena& arena) = 0;
  /// Sends packets of the batch from `position` on, as far as their runs' Path.socket is this socket's index.
  /// Whatever isn't in `taken` stays with the caller, who must not clear the batch before.
  virtual SendResult send(const TransmitBatch& batch, std::size_t position) = 0;

  /// Sets the six DSCP bits of what is sent, IPv4 and IPv6, and leaves the two ECN bits alone. False:
  /// refused, errno.
  virtual bool set_dscp(std::uint8_t dscp) = 0;

  /// Asks for buffers of this size, if it is above 0; what the kernel granted is told below.
  virtual void set_buffers(int bytes) = 0;

  /// Readable when receive() has something to do; the same descriptor for life.
  virtual int fd() const = 0;
  virtual std::uint32_t index() const = 0;
  virtual const IpEndpoint& local() const = 0;
  /// What the kernel granted, in the unit that it was asked in: less than asked means clamped by
  /// net.core.rmem_max and wmem_max.
  virtual int receive_buffer_bytes() const = 0;
  virtual int send_buffer_bytes() const = 0;
  virtual const Counters& counters() const = 0;
};

/// The outcome of send_batch: `state` is kDone or one of the two that wait, and then `socket` says for which.
struct BatchSendResult {
  DatagramSocket::SendState state = DatagramSocket::SendState::kDone;
  std::uint32_t socket = 0;
  std::size_t position = 0;  // of the first packet that was not dealt with
  std::size_t dropped = 0;   // refused for good, or for a socket that is gone
};

/// Sends a batch whose runs are of several sockets: Path.socket is an index into `sockets`; packets of an
/// index beyond it, or of a null, are dropped and counted.
BatchSendResult send_batch(std::span<DatagramSocket* const> sockets, const TransmitBatch& batch,
                           std::size_t position);

/// Index of the run that the packet at `position` is in. REQUIRES: position < batch.size().
std::size_t run_at(const TransmitBatch& batch, std::size_t position);
/// Position behind the run's last packet.
inline std::size_t end_of(const TransmitBatch::Run& run) { return std::size_t{run.first} + run.count; }

}  // namespace kcptun
