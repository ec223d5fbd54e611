// The smux frame header (docs/develop/protocol.md section 6).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/bytes.h"

namespace kcptun {

enum class SmuxCommand : std::uint8_t { kSyn = 0, kFin = 1, kPush = 2, kNop = 3, kUpdate = 4 };

inline constexpr std::size_t kFrameHeader = 8;
inline constexpr std::size_t kUpdatePayload = 8;
/// A NOP with this sid marks the sender as a program of this project that understands reset frames
/// (docs/develop/protocol.md section 12). It is even, unlike the sid of any stream, and in the range of
/// plausible sids (ProtocolSniffer).
inline constexpr std::uint32_t kProgramMark = 0x756b76;

struct FrameHeader {
  std::uint8_t version = 0;
  std::uint8_t command = 0;
  std::uint16_t length = 0;
  std::uint32_t sid = 0;
};

/// REQUIRES: kFrameHeader bytes at `p`.
inline FrameHeader read_frame_header(const std::uint8_t* p) {
  return {p[0], p[1], load_u16(p + 2), load_u32(p + 4)};
}
inline void write_frame_header(std::uint8_t* p, const FrameHeader& header) {
  p[0] = header.version;
  p[1] = header.command;
  store_u16(p + 2, header.length);
  store_u32(p + 4, header.sid);
}

}  // namespace kcptun
