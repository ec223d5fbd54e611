#include "tests/lab/fragments.h"

#include <array>
#include <catch2/catch.hpp>
#include <numeric>
#include <vector>

namespace kcptun::lab {
namespace {

using PacketBytes = std::vector<std::uint8_t>;

/// An IPv4 packet of `size` bytes with UDP's number and the flags and offset given.
PacketBytes packet_of(std::size_t size, std::uint16_t flags) {
  PacketBytes packet(size);
  std::iota(packet.begin(), packet.end(), std::uint8_t{0});
  packet[0] = 0x45;
  packet[2] = static_cast<std::uint8_t>(size >> 8);
  packet[3] = static_cast<std::uint8_t>(size);
  packet[6] = static_cast<std::uint8_t>(flags >> 8);
  packet[7] = static_cast<std::uint8_t>(flags);
  packet[9] = 17;
  return packet;
}

std::vector<PacketBytes> cut(const PacketBytes& packet, std::size_t mtu) {
  std::vector<PacketBytes> parts;
  Fragments fragments(packet, mtu);
  std::array<std::uint8_t, 2048> bytes;
  while (const std::size_t size = fragments.next(bytes))
    parts.emplace_back(bytes.begin(), bytes.begin() + size);
  return parts;
}

std::size_t field(const PacketBytes& packet, std::size_t at) {
  return static_cast<std::size_t>(packet[at]) << 8 | packet[at + 1];
}

}  // namespace

TEST_CASE("fragments are no larger than the MTU, have right headers, and make up the packet") {
  const std::size_t mtu = GENERATE(28u, 100u, 576u, 1300u, 1499u);
  const std::uint16_t flags = GENERATE(std::uint16_t{0}, std::uint16_t{0x2000 | 185}, std::uint16_t{370});
  CAPTURE(mtu, flags);
  const PacketBytes packet = packet_of(1500, flags);
  REQUIRE(Fragments::can_cut(packet, mtu));
  const std::vector<PacketBytes> parts = cut(packet, mtu);
  REQUIRE(parts.size() == (1480 + (mtu - 20) / 8 * 8 - 1) / ((mtu - 20) / 8 * 8));
  PacketBytes payload;
  for (const PacketBytes& part : parts) {
    const bool last = &part == &parts.back();
    CHECK(part.size() <= mtu);
    CHECK(field(part, 2) == part.size());
    CHECK(header_checksum(std::span(part).first(20)) == 0);
    CHECK((field(part, 6) & 0x1fff) == (flags & 0x1fff) + payload.size() / 8);
    CHECK(((field(part, 6) & 0x2000) != 0) == (!last || (flags & 0x2000) != 0));
    CHECK(field(part, 4) == field(packet, 4));
    payload.insert(payload.end(), part.begin() + 20, part.end());
  }
  CHECK(payload == PacketBytes(packet.begin() + 20, packet.end()));
}

TEST_CASE("what says so, what has options, what is no IPv4 packet, and what fits, stays whole") {
  CHECK(Fragments::can_cut(packet_of(1301, 0), 1300));
  CHECK_FALSE(Fragments::can_cut(packet_of(1300, 0), 1300));
  CHECK_FALSE(Fragments::can_cut(packet_of(1301, 0x4000), 1300));
  CHECK_FALSE(Fragments::can_cut(packet_of(1301, 0), 27));
  PacketBytes packet = packet_of(1301, 0);
  packet[0] = 0x46;
  CHECK_FALSE(Fragments::can_cut(packet, 1300));
  packet[0] = 0x60;
  CHECK_FALSE(Fragments::can_cut(packet, 1300));
  packet = packet_of(1301, 0);
  packet.push_back(0);
  CHECK_FALSE(Fragments::can_cut(packet, 1300));
  CHECK_FALSE(Fragments::can_cut(PacketBytes(19, 0x45), 28));
}

}  // namespace kcptun::lab
