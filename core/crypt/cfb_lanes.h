// CFB encryption across packets. Within a packet each block depends on the previous one. A cipher that
// processes many blocks at once therefore gets one block from each of many packets, its lanes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "core/base/packet.h"

namespace kcptun {

/// Feeds up to `kLanes` packets at a time to a kernel. When the packet of a lane ends, the next packet takes
/// the lane, so sizes may differ.
///
/// A kernel does the following `steps` times for each lane l below `lanes`: feedback[l] = E(feedback[l]) ^
/// data[l][0..kBlock), which it also writes back there, and it advances data[l] by kBlock. Lanes from `lanes`
/// on point to scratch memory: a kernel may round the number of lanes up to the width of its registers.
template <std::size_t kBlock, std::size_t kLanes>
class CfbLanes {
 public:
  /// The kernel's view. `feedback` has a spare block after the last lane.
  struct View {
    std::array<std::uint8_t*, kLanes> data;
    alignas(64) std::uint8_t feedback[(kLanes + 1) * kBlock];
    std::size_t lanes;
  };

  CfbLanes(std::span<const Packet> packets, const std::uint8_t* iv) : packets_(packets), iv_(iv) {
    std::memset(view_.feedback, 0, sizeof view_.feedback);
    view_.lanes = 0;
    while (view_.lanes < kLanes && start(view_.lanes)) ++view_.lanes;
  }

  template <typename Kernel>
  void run(Kernel&& kernel) {
    while (view_.lanes > 0) {
      const std::size_t steps = shortest();
      for (std::size_t l = view_.lanes; l < kLanes; ++l) view_.data[l] = idle_;
      kernel(view_, steps);
      advance(steps);
    }
  }

 private:
  /// Idle lanes have room for this many blocks; a kernel call takes no more steps.
  static constexpr std::size_t kMaxSteps = (kMaxDatagram + kBlock - 1) / kBlock;

  struct Lane {
    std::size_t left;       // whole blocks remaining from data[l] on
    std::uint8_t* tail;     // the partial block at the packet's end; null if there is none or it is done
    std::size_t tail_size;  // less than kBlock
    bool in_tail;           // data[l] points to tail_blocks_[l], a padded copy of the tail
  };

  std::size_t shortest() const {
    std::size_t steps = kMaxSteps;
    for (std::size_t l = 0; l < view_.lanes; ++l) steps = std::min(steps, lanes_[l].left);
    return steps;
  }

  void advance(std::size_t steps) {
    for (std::size_t l = 0; l < view_.lanes;) {
      lanes_[l].left -= steps;
      if (lanes_[l].left > 0 || begin_tail(l)) {
        ++l;
        continue;
      }
      end_tail(l);
      if (start(l)) {
        ++l;
      } else {
        retire(l);  // lane l is now another one, not yet advanced, or beyond the end
      }
    }
  }

  /// Assigns the next packet to lane `l`. False if none is left.
  bool start(std::size_t l) {
    while (next_ < packets_.size() && packets_[next_].size == 0) ++next_;
    if (next_ == packets_.size()) return false;
    const Packet& packet = packets_[next_++];
    const std::size_t whole = packet.size / kBlock;
    lanes_[l] = {whole, packet.data + whole * kBlock, packet.size % kBlock, false};
    view_.data[l] = packet.data;
    std::memcpy(feedback(l), iv_, kBlock);
    if (whole == 0) begin_tail(l);
    return true;
  }

  /// Copies the partial block into a whole one, because kernels process whole blocks only.
  bool begin_tail(std::size_t l) {
    Lane& lane = lanes_[l];
    if (lane.in_tail || lane.tail_size == 0) return false;
    std::memcpy(tail_blocks_[l].data(), lane.tail, lane.tail_size);
    view_.data[l] = tail_blocks_[l].data();
    lane.left = 1;
    lane.in_tail = true;
    return true;
  }

  void end_tail(std::size_t l) {
    if (lanes_[l].in_tail) std::memcpy(lanes_[l].tail, tail_blocks_[l].data(), lanes_[l].tail_size);
  }

  /// Moves the last lane, which `advance` has not reached yet, into the gap.
  void retire(std::size_t l) {
    const std::size_t last = --view_.lanes;
    if (l != last) {
      lanes_[l] = lanes_[last];
      tail_blocks_[l] = tail_blocks_[last];
      view_.data[l] = lanes_[l].in_tail ? tail_blocks_[l].data() : view_.data[last];
      std::memcpy(feedback(l), feedback(last), kBlock);
    }
  }

  std::uint8_t* feedback(std::size_t l) { return view_.feedback + l * kBlock; }

  std::span<const Packet> packets_;
  const std::uint8_t* iv_;
  std::size_t next_ = 0;  // first packet not yet assigned to a lane
  View view_;
  std::array<Lane, kLanes> lanes_;
  std::array<std::array<std::uint8_t, kBlock>, kLanes> tail_blocks_;
  alignas(64) std::uint8_t idle_[kMaxSteps * kBlock];
};

}  // namespace kcptun
