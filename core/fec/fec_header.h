// The header of FEC datagrams (docs/develop/protocol.md section 4).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/time.h"

namespace kcptun {

/// Header of a data packet: seqid u32, type u16, size u16.
inline constexpr std::size_t kFecHeader = 8;
/// A shard is everything from `size` on.
inline constexpr std::size_t kFecShardOffset = 6;

enum class FecType : std::uint16_t { kNone = 0, kData = 0x00f1, kParity = 0x00f2, kOutOfBand = 0x00f3 };

/// The type of a decrypted body; kNone for a plain KCP packet and for one too short for an FEC header.
inline FecType fec_type(Bytes body) {
  if (body.size() < kFecHeader) return FecType::kNone;
  const std::uint16_t type = load_u16(body.data() + 4);
  return type >= 0x00f1 && type <= 0x00f3 ? FecType{type} : FecType::kNone;
}

/// The KCP packet in a decrypted body, without its FEC header if it has one; no data() if there is none.
inline Bytes kcp_packet_in(Bytes body) {
  const FecType type = fec_type(body);
  if (type == FecType::kNone) return body;
  if (type != FecType::kData) return {};
  const std::size_t size = load_u16(body.data() + kFecShardOffset);
  if (size < 2 || size > body.size() - kFecShardOffset) return {};
  return body.subspan(kFecHeader, size - 2);
}

}  // namespace kcptun
