// What the links of one engine share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/packet.h"
#include "core/base/secret_source.h"
#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/crypt/suite.h"
#include "core/fec/erasure_code_cache.h"
#include "core/fec/reed_solomon.h"
#include "core/smux/receive_budget.h"
#include "core/stream/qpp.h"
#include "core/stream/snappy_frames.h"

namespace kcptun {

/// Bytes of a datagram that are not KCP's (docs/develop/protocol.md section 2).
struct PacketOverhead {
  std::size_t crypto_header = 0;
  std::size_t crypto_trailer = 0;
  std::size_t fec_header = 0;  // 0 unless FEC is sent
  std::size_t crypto() const { return crypto_header + crypto_trailer; }
  std::size_t total() const { return crypto() + fec_header; }
};

/// The engine owns it, and it outlives the links.
struct LinkContext {
  explicit LinkContext(const LinkSettings& settings);
  LinkContext(const LinkContext&) = delete;
  LinkContext& operator=(const LinkContext&) = delete;

  /// Gives idle memory back; see BufferPool::trim().
  void trim();
  /// Lays packets out for the suite that will seal and open them.
  void set_overhead(const Suite& suite);
  /// Of the links that begin from now on.
  PacketOverhead overhead() const;

  LinkSettings settings;          // of links that begin from now on; those that exist keep their own
  std::size_t crypto_header = 0;  // of the suite in use (docs/develop/protocol.md section 2)
  std::size_t crypto_trailer = 0;
  std::size_t session_header =
      0;            // the last bytes of crypto_header, which the link writes; 0: the suite has none
  UnixTime wall{};  // with a session header: the time of day, kept by the owner
  // Set if each session seals and opens its packets itself (Suite::credentials()). Both outlive the links.
  const noise::Credentials* credentials = nullptr;
  SecretSource* secrets = nullptr;
  const QppPads* qpp = nullptr;   // set when QPP is on; outlives the context
  MemoryQuota* memory = nullptr;  // the process's memory for unread bytes; outlives the links; null: no limit
  BufferPool segments{kMaxDatagram};
  BufferPool blocks{kSnappyBlock};  // decompressed stream data
  ErasureCodeCache codes{make_reed_solomon};
  std::vector<std::uint8_t> frames;      // scratch: smux frames before compression, control frames
  std::vector<std::uint8_t> compressed;  // scratch: one snappy chunk
  std::vector<Packet> fresh;             // scratch: bodies of packets that the session has not seen
  PoolBuffer inflated;                   // scratch: one decompressed block
};

/// Largest KCP packet that fits the MTU beside the headers (docs/develop/protocol.md section 2).
std::size_t kcp_packet_size(const LinkContext& context);

}  // namespace kcptun
