// Packets in batches: the transmit arena that the links fill, the suite encrypts and the daemon sends; and
// the view of received datagrams that the daemon reads, the suite decrypts and the links consume.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/path.h"

namespace kcptun {

/// The largest UDP payload that peers accept (docs/develop/protocol.md section 2).
inline constexpr std::size_t kMaxDatagram = 1500;
/// Distance between packets in an arena: 25 cache lines. An odd number spreads the packets of an FEC group
/// over the sets of the L1 cache. Every packet starts at the same offset modulo 64, which gf-complete
/// requires.
inline constexpr std::size_t kPacketStride = 1600;
/// Packets per transmit batch: large enough for GSO runs, small enough for the L2 cache (200 KiB).
inline constexpr std::size_t kBatchPackets = 128;
/// Additional slots, so that the parity of the last packet's group always fits. Untouched pages cost nothing.
inline constexpr std::size_t kSpareSlots = 256;
/// The maximum number of packets in a batch.
inline constexpr std::size_t kBatchSlots = kBatchPackets + kSpareSlots;

/// A datagram in an arena that it does not own. `open` narrows it to the body; size 0 means rejected.
struct Packet {
  std::uint8_t* data = nullptr;
  std::uint32_t size = 0;
  MutableBytes bytes() const { return {data, size}; }
};

/// Outgoing datagrams, one per slot, in runs with the same path. The owner drains it before reuse. A slot has
/// kPacketStride bytes; those after the packet may be overwritten (FEC pads there).
class TransmitBatch {
 public:
  /// Fragmentation policy. kAllowed: the host or router that finds a packet too large may fragment it (under
  /// IPv6 only the sender, after an ICMP error). kDontFragment: the packet is dropped instead.
  enum class Fragments : std::uint8_t { kAllowed, kDontFragment };
  struct Run {
    Path path;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    Fragments fragments = Fragments::kAllowed;
  };

  TransmitBatch()
      : arena_(static_cast<std::uint8_t*>(::operator new(kPacketStride* kBatchSlots, std::align_val_t(64)))) {
    packets_.reserve(kBatchSlots);
    runs_.reserve(kBatchPackets);
  }

  std::size_t size() const { return packets_.size(); }
  bool empty() const { return packets_.empty(); }
  /// Packets until the batch is full. Parity packets may still be pushed to a full batch.
  std::size_t room() const { return size() < kBatchPackets ? kBatchPackets - size() : 0; }

  /// Packets pushed from now on go to `path`.
  void begin_run(const Path& path, Fragments fragments = Fragments::kAllowed) {
    if (!runs_.empty() && runs_.back().path == path && runs_.back().fragments == fragments) return;
    if (!runs_.empty() && runs_.back().count == 0) runs_.pop_back();
    runs_.push_back({path, static_cast<std::uint32_t>(packets_.size()), 0, fragments});
  }
  /// The next slot, without allocating it. REQUIRES: a run was begun.
  std::uint8_t* next_slot() { return arena_.get() + packets_.size() * kPacketStride; }
  /// Allocates the next slot for a packet of `size` bytes. REQUIRES: size <= kMaxDatagram.
  Packet& push(std::size_t size) {
    KCPTUN_CHECK(packets_.size() < kBatchSlots && size <= kMaxDatagram && !runs_.empty());
    packets_.push_back({next_slot(), static_cast<std::uint32_t>(size)});
    ++runs_.back().count;
    return packets_.back();
  }
  void clear() {
    packets_.clear();
    runs_.clear();
  }

  std::span<Packet> packets() { return packets_; }
  std::span<const Packet> packets() const { return packets_; }
  std::span<const Run> runs() const { return runs_; }

 private:
  struct Free {
    void operator()(std::uint8_t* p) const { ::operator delete(p, std::align_val_t(64)); }
  };
  std::unique_ptr<std::uint8_t, Free> arena_;
  std::vector<Packet> packets_;
  std::vector<Run> runs_;
};

}  // namespace kcptun
