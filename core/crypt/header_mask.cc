#include "core/crypt/header_mask.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/check.h"

namespace kcptun {
namespace {

constexpr std::size_t kAesBlock = 16;
static_assert(noise::kTagSize == kAesBlock && noise::kHeadSize == kAesBlock);
// Heads that are masked with one call of the library. More save nothing: a call costs as much as three
// blocks.
constexpr std::size_t kBatch = 64;

const std::uint8_t* tag_of(const Packet& packet) { return packet.data + packet.size - kAesBlock; }

void xor_block(std::uint8_t* to, const std::uint8_t* stream) {
  store_u64(to, load_u64(to) ^ load_u64(stream));
  store_u64(to + 8, load_u64(to + 8) ^ load_u64(stream + 8));
}

}  // namespace

void HeaderMask::apply_to_heads(std::span<const Packet> packets) {
  std::array<std::uint8_t, kBatch * kAesBlock> blocks;
  while (!packets.empty()) {
    const auto batch = packets.first(std::min(kBatch, packets.size()));
    packets = packets.subspan(batch.size());
    std::size_t count = 0;
    for (const Packet& packet : batch)
      if (packet.size >= 2 * kAesBlock)
        std::memcpy(blocks.data() + kAesBlock * count++, tag_of(packet), kAesBlock);
    if (count == 0) continue;
    cipher_.encrypt(MutableBytes(blocks).first(kAesBlock * count));
    count = 0;
    for (const Packet& packet : batch)
      if (packet.size >= 2 * kAesBlock) xor_block(packet.data, blocks.data() + kAesBlock * count++);
  }
}

// Block i of the keystream is AES-256 of the tag, with i added to its last byte by XOR.
void HeaderMask::apply(MutableBytes packet, std::size_t begin, std::size_t end) {
  KCPTUN_CHECK(begin % kAesBlock == 0 && begin <= end && end <= noise::kMaxMasked &&
               packet.size() >= end + kAesBlock);
  constexpr std::size_t kMaxBlocks = (noise::kMaxMasked + kAesBlock - 1) / kAesBlock;
  std::array<std::uint8_t, kMaxBlocks * kAesBlock> stream;
  const std::size_t first = begin / kAesBlock, last = (end + kAesBlock - 1) / kAesBlock;
  if (first == last) return;
  for (std::size_t i = first; i < last; ++i) {
    std::uint8_t* const block = stream.data() + kAesBlock * i;
    std::ranges::copy(packet.last(kAesBlock), block);
    block[kAesBlock - 1] ^= static_cast<std::uint8_t>(i);
  }
  cipher_.encrypt(MutableBytes(stream).subspan(kAesBlock * first, kAesBlock * (last - first)));
  for (std::size_t i = begin; i < end; ++i) packet[i] ^= stream[i];
}

}  // namespace kcptun
