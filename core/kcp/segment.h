// The KCP segment as it stands on the wire (docs/develop/protocol.md section 5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/bytes.h"

namespace kcptun {

enum class KcpCommand : std::uint8_t { kPush = 81, kAck = 82, kWindowProbe = 83, kWindowUpdate = 84 };

inline constexpr std::size_t kSegmentHeader = 24;

struct Segment {
  std::uint32_t conv = 0;
  KcpCommand command = KcpCommand::kPush;
  std::uint16_t window = 0;  // free receive window of the sender, segments
  std::uint32_t ts = 0;
  std::uint32_t sn = 0;
  std::uint32_t una = 0;
  Bytes data;
};

/// Writes the header of `segment` with a length of `length` to `out`. REQUIRES: kSegmentHeader bytes of room.
inline void write_segment_header(std::uint8_t* out, const Segment& segment, std::size_t length) {
  store_u32(out, segment.conv);
  out[4] = static_cast<std::uint8_t>(segment.command);
  out[5] = 0;  // frg: stream mode has no fragments
  store_u16(out + 6, segment.window);
  store_u32(out + 8, segment.ts);
  store_u32(out + 12, segment.sn);
  store_u32(out + 16, segment.una);
  store_u32(out + 20, static_cast<std::uint32_t>(length));
}

/// Takes the first segment off `packet`. Nothing when it is cut short, longer than the packet or of unknown
/// command: the rest of the packet is then to be dropped.
inline std::optional<Segment> take_segment(Bytes& packet) {
  if (packet.size() < kSegmentHeader) return std::nullopt;
  const std::uint8_t* p = packet.data();
  const std::uint32_t length = load_u32(p + 20);
  if (length > packet.size() - kSegmentHeader) return std::nullopt;
  if (p[4] < 81 || p[4] > 84) return std::nullopt;
  Segment segment;
  segment.conv = load_u32(p);
  segment.command = static_cast<KcpCommand>(p[4]);
  segment.window = load_u16(p + 6);
  segment.ts = load_u32(p + 8);
  segment.sn = load_u32(p + 12);
  segment.una = load_u32(p + 16);
  segment.data = packet.subspan(kSegmentHeader, length);
  packet = packet.subspan(kSegmentHeader + length);
  return segment;
}

}  // namespace kcptun
