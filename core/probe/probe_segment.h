// Segments that a probe sends and parses, without the state of a session.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/base/bytes.h"
#include "core/fec/fec_header.h"
#include "core/kcp/segment.h"

namespace kcptun {

/// Calls handle(segment) for each segment of that conv in a decrypted body.
template <typename Handle>
void for_each_segment(Bytes body, std::uint32_t conv, Handle handle) {
  Bytes packet = kcp_packet_in(body);
  while (const auto segment = take_segment(packet)) {
    if (segment->conv != conv) return;
    handle(*segment);
  }
}

/// Writes one segment; `padding` zeros follow `data`, which may be empty. Returns its size.
/// REQUIRES: space for kSegmentHeader + data.size() + padding.
inline std::size_t write_probe_segment(std::uint8_t* out, Segment segment, Bytes data, std::size_t padding) {
  constexpr std::uint16_t kWindow = 32;  // our receive window, which a probe never fills
  segment.window = kWindow;
  write_segment_header(out, segment, data.size() + padding);
  if (!data.empty()) std::memcpy(out + kSegmentHeader, data.data(), data.size());
  if (padding > 0) std::memset(out + kSegmentHeader + data.size(), 0, padding);
  return kSegmentHeader + data.size() + padding;
}

}  // namespace kcptun
