// What an opened body shows of its session.
#pragma once

#include <optional>

#include "core/base/bytes.h"
#include "core/fec/fec_header.h"
#include "core/kcp/segment.h"

namespace kcptun {

/// The first segment of an opened packet; none in parity, garbage and packets of the datagram channel.
inline std::optional<Segment> first_segment(Bytes body) {
  const FecType type = fec_type(body);
  if (type == FecType::kParity || type == FecType::kOutOfBand) return std::nullopt;
  if (type == FecType::kData) body = body.subspan(kFecHeader);
  return take_segment(body);
}

}  // namespace kcptun
