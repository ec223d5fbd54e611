#include "core/crypt/noise_suite.h"

#include "core/base/check.h"

namespace kcptun {

using noise::Head;
using noise::kHeadSize;
using noise::kTagSize;

void NoiseSuite::seal(std::span<const Packet> packets) {
  for (const Packet& packet : packets) {
    const auto head = noise::read_head(packet.data);
    KCPTUN_CHECK(head.has_value());
    const std::size_t part = noise::handshake_part_size(head->kind, credentials_.pattern);
    if (part > 0) mask_.apply(packet.bytes(), kHeadSize, kHeadSize + part);
  }
  mask_.apply_to_heads(packets);
}

// The head is in the clear.
bool NoiseSuite::unmask_handshake(const Packet& packet) {
  if (packet.size < kHeadSize + kTagSize) return false;
  const std::optional<Head> head = noise::read_head(packet.data);
  if (!head) return false;
  const std::size_t part = noise::handshake_part_size(head->kind, credentials_.pattern);
  if (packet.size < kHeadSize + part + kTagSize) return false;
  if (part > 0) mask_.apply(packet.bytes(), kHeadSize, kHeadSize + part);
  return true;
}

std::size_t NoiseSuite::open(std::span<Packet> packets) {
  std::size_t rejected = 0;
  mask_.apply_to_heads(packets);
  for (Packet& packet : packets) {
    if (unmask_handshake(packet)) continue;
    packet.size = 0;
    ++rejected;
  }
  return rejected;
}

}  // namespace kcptun
