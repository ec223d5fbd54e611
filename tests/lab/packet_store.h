// The packets that are inside the emulated path, in the order in which they come out.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <queue>
#include <span>
#include <vector>

#include "tests/lab/link_model.h"

namespace kcptun::lab {

/// The largest packet that a device may have as its MTU.
inline constexpr std::size_t kMaxPacket = 2048;
/// Both directions together: 128 MB, a second of 1 Gbit/s. More are dropped and counted.
inline constexpr std::size_t kMaxInside = 65536;

struct Packet {
  std::uint32_t size = 0;
  std::array<std::uint8_t, kMaxPacket> bytes;
  std::span<const std::uint8_t> view() const { return {bytes.data(), size}; }
};

/// Packets for re-use, so that none is allocated twice.
class PacketPool {
 public:
  /// Null: kMaxInside are out.
  std::unique_ptr<Packet> take() {
    if (free_.empty()) {
      if (made_ == kMaxInside) return nullptr;
      ++made_;
      return std::unique_ptr<Packet>(new Packet);  // bytes uninitialised: a read fills them
    }
    std::unique_ptr<Packet> packet = std::move(free_.back());
    free_.pop_back();
    return packet;
  }
  void give_back(std::unique_ptr<Packet> packet) { free_.push_back(std::move(packet)); }

 private:
  std::vector<std::unique_ptr<Packet>> free_;
  std::size_t made_ = 0;
};

/// Bounded by the pool.
class InFlight {
 public:
  void add(LinkTime out, std::unique_ptr<Packet> packet) {
    heap_.push({out, ++transmit_number_, std::move(packet)});
  }
  std::optional<LinkTime> next() const {
    return heap_.empty() ? std::nullopt : std::optional(heap_.top().out);
  }
  /// The earliest packet. REQUIRES: next().
  std::unique_ptr<Packet> take() {
    std::unique_ptr<Packet> packet = std::move(heap_.top().packet);
    heap_.pop();
    return packet;
  }

 private:
  struct Entry {
    LinkTime out;
    std::uint64_t order;  // of those at one time, the first in comes first
    mutable std::unique_ptr<Packet> packet;
    bool operator<(const Entry& other) const {  // for a heap whose top is the earliest
      return out != other.out ? out > other.out : order > other.order;
    }
  };
  std::priority_queue<Entry> heap_;
  std::uint64_t transmit_number_ = 0;
};

}  // namespace kcptun::lab
