// Keystream blocks across packets. A packet seldom has as many blocks as a kernel has lanes, so blocks of the
// next packets fill the remaining lanes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/base/packet.h"

namespace kcptun {

/// Vector types: words for all lanes, or longs for half of them. (GCC 12 does not accept a template argument
/// as a vector's size.)
template <std::size_t kLanes>
struct VectorOf;
template <>
struct VectorOf<8> {
  using Words = std::uint32_t __attribute__((vector_size(32)));
  using Longs = std::uint64_t __attribute__((vector_size(32)));
};
template <>
struct VectorOf<16> {
  using Words = std::uint32_t __attribute__((vector_size(64)));
  using Longs = std::uint64_t __attribute__((vector_size(64)));
};

/// Assigns the 64-byte blocks of packets to lanes, `kLanes` at a time. Each packet starts with a nonce of 8
/// bytes, which stays unencrypted; its blocks are counted from 0 after the nonce.
template <std::size_t kLanes>
class KeystreamLanes {
 public:
  static constexpr std::size_t kBlock = 64;
  static constexpr std::size_t kNonce = 8;

  /// The kernel's view. Lane l XORs the block of its nonce and counter into the bytes at data[l] whose bits
  /// in mask[l] are set, and leaves the others unchanged. The lowest `lanes` lanes have work; the masks of
  /// the others are 0. Counters fit into 32 bits because packet sizes do.
  struct View {
    // A packet is written kLanes lanes wide, starting where the previous packet ends: hence the double size.
    alignas(64) std::uint32_t nonce_low[2 * kLanes];
    alignas(64) std::uint32_t nonce_high[2 * kLanes];
    alignas(64) std::uint32_t counter[2 * kLanes];
    alignas(64) std::uint64_t address[2 * kLanes];  // the lanes after a packet's last one are undefined
    alignas(64) std::uint64_t mask[2 * kLanes];
    std::size_t lanes;

    std::uint8_t* data(std::size_t l) const { return reinterpret_cast<std::uint8_t*>(address[l]); }
  };

  /// REQUIRES: the packets outlive this.
  [[gnu::always_inline]] explicit KeystreamLanes(std::span<const Packet> packets)
      : next_(packets.data()), end_(packets.data() + packets.size()) {
    fill(views_[0]);
  }

  /// The lanes to process now. Lanes after the first one that is not full have no work.
  const View& view() const { return views_[current_]; }

  /// Assigns the next lanes. Separate from `advance`, so that a kernel can interleave it with the work on
  /// `view`: it costs almost nothing while the vector units are busy, and loads that follow partial stores do
  /// not stall.
  [[gnu::always_inline]] void assign_next() { fill(views_[current_ ^ 1]); }
  /// REQUIRES: assign_next() was called.
  void advance() { current_ ^= 1; }

 private:
  using Words = typename VectorOf<kLanes>::Words;
  using Longs = typename VectorOf<kLanes>::Longs;

  /// One value per lane: first, first + step and so on.
  [[gnu::always_inline]] static void put(std::uint32_t* to, std::uint32_t first, std::uint32_t step) {
    Words values;
    for (std::size_t i = 0; i < kLanes; ++i) values[i] = static_cast<std::uint32_t>(i);
    values = values * step + first;
    std::memcpy(to, &values, sizeof values);
  }
  [[gnu::always_inline]] static void put(std::uint64_t* to, std::uint64_t first, std::uint64_t step) {
    Longs values;
    for (std::size_t i = 0; i < kLanes / 2; ++i) values[i] = i;
    values *= step;
    const Longs low = values + first;
    const Longs high = values + (first + kLanes / 2 * step);
    std::memcpy(to, &low, sizeof low);
    std::memcpy(to + kLanes / 2, &high, sizeof high);
  }

  [[gnu::always_inline]] void fill(View& view) {
    Rest rest = rest_;  // a local copy stays in registers, because the view's memory may alias anything
    std::size_t lane = 0;
    while (lane < kLanes && (rest.size > 0 || begin_packet(rest))) {
      put(view.nonce_low + lane, rest.nonce_low, 0);
      put(view.nonce_high + lane, rest.nonce_high, 0);
      put(view.counter + lane, rest.block, 1);
      put(view.address + lane, rest.address, kBlock);
      put(view.mask + lane, ~std::uint64_t{0}, 0);
      const std::size_t blocks = std::min((rest.size + kBlock - 1) / kBlock, kLanes - lane);
      const std::size_t bytes = std::min(rest.size, blocks * kBlock);
      view.mask[lane + blocks - 1] = ~std::uint64_t{0} >> (0 - bytes) % kBlock;
      rest.size -= bytes;
      rest.address += bytes;
      rest.block += static_cast<std::uint32_t>(blocks);
      lane += blocks;
    }
    rest_ = rest;
    view.lanes = lane;
    if (lane == kLanes) return;
    put(view.address + lane, reinterpret_cast<std::uintptr_t>(idle_), 0);
    put(view.mask + lane, std::uint64_t{0}, 0);
  }

  /// The rest of the packet that is being assigned.
  struct Rest {
    std::size_t size = 0;  // bytes from `address`
    std::uintptr_t address = 0;
    std::uint32_t block = 0;
    std::uint32_t nonce_low = 0;
    std::uint32_t nonce_high = 0;
  };

  [[gnu::always_inline]] bool begin_packet(Rest& rest) {
    while (next_ != end_ && next_->size <= kNonce) ++next_;
    if (next_ == end_) return false;
    const Packet& packet = *next_++;
    rest = {packet.size - kNonce, reinterpret_cast<std::uintptr_t>(packet.data + kNonce), 0,
            load_u32(packet.data), load_u32(packet.data + 4)};
    return true;
  }

  const Packet* next_;
  const Packet* end_;
  Rest rest_;
  std::size_t current_ = 0;
  View views_[2];
  alignas(64) std::uint8_t idle_[kBlock];  // target of idle lanes
};

}  // namespace kcptun
