// Decrypted packets that one engine forwards to another.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "core/base/packet.h"

namespace kcptun {

/// Copies of packets that arrived over one path. Each packet has its own stride of the buffer, as in the
/// arenas.
class ForwardedPackets {
 public:
  ForwardedPackets(const Path& from, std::span<const Packet> packets)
      : path_(from), memory_(std::make_unique_for_overwrite<std::uint8_t[]>(packets.size() * kPacketStride)) {
    packets_.reserve(packets.size());
    for (const Packet& packet : packets) {
      std::uint8_t* const slot = memory_.get() + packets_.size() * kPacketStride;
      std::memcpy(slot, packet.data, packet.size);
      packets_.push_back({slot, packet.size});
    }
  }

  const Path& path() const { return path_; }
  std::span<const Packet> packets() const { return packets_; }

 private:
  Path path_;
  std::unique_ptr<std::uint8_t[]> memory_;
  std::vector<Packet> packets_;
};

}  // namespace kcptun
