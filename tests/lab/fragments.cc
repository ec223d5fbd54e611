#include "tests/lab/fragments.h"

#include <algorithm>
#include <cstring>

namespace kcptun::lab {
namespace {

constexpr std::size_t kHeader = 20;
constexpr std::size_t kUnit =
    8;  // what offsets count, so that all fragments but the last have multiples of it
constexpr std::size_t kLengthAt = 2, kFlagsAt = 6, kChecksumAt = 10;
constexpr std::uint16_t kDontFragment = 0x4000, kMoreFragments = 0x2000;

std::uint16_t load(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

void store(std::span<std::uint8_t> bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

}  // namespace

std::uint16_t header_checksum(std::span<const std::uint8_t> header) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < header.size(); i += 2) sum += load(header, i);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

bool Fragments::can_cut(std::span<const std::uint8_t> packet, std::size_t mtu) {
  if (mtu < kHeader + kUnit || packet.size() <= std::max(mtu, kHeader)) return false;
  return packet[0] == 0x45 && load(packet, kLengthAt) == packet.size() &&
         !(load(packet, kFlagsAt) & kDontFragment);
}

std::size_t Fragments::next(std::span<std::uint8_t> into) {
  const std::span<const std::uint8_t> rest = packet_.subspan(kHeader + done_);
  if (rest.empty()) return 0;
  const std::size_t room = (mtu_ - kHeader) / kUnit * kUnit;
  const std::size_t size = std::min(rest.size(), room);
  std::memcpy(into.data(), packet_.data(), kHeader);
  std::memcpy(into.data() + kHeader, rest.data(), size);
  const bool last = size == rest.size();
  const std::size_t flags = load(packet_, kFlagsAt) + done_ / kUnit;  // the offset is their lower part
  store(into, kFlagsAt, last ? flags : flags | kMoreFragments);
  store(into, kLengthAt, kHeader + size);
  store(into, kChecksumAt, 0);
  store(into, kChecksumAt, header_checksum(into.first(kHeader)));
  done_ += size;
  return kHeader + size;
}

}  // namespace kcptun::lab
