// What stands between smux frames and KCP's byte stream: framing in place, compression, and QPP.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/bytes.h"
#include "core/kcp/kcp.h"
#include "core/link/link_context.h"
#include "core/link/protocol_sniffer.h"
#include "core/smux/smux.h"
#include "core/stream/qpp.h"
#include "core/stream/snappy_frames.h"

namespace kcptun {

/// Both directions of one session. Sending, payload is written where it leaves: into KCP's segments, or into
/// scratch memory if it is compressed next. Receiving, it owns the memory that smux's events point into.
///
/// Bounds: what was fed and decoded since release_views(), which the receive budget of smux limits; one
/// Snappy chunk; a pair of QPP states for each stream, and as many again for streams that have ended.
class StreamCodec {
 public:
  /// All outlive the codec.
  StreamCodec(LinkContext& context, Kcp& kcp, const Smux& smux);
  StreamCodec(const StreamCodec&) = delete;
  StreamCodec& operator=(const StreamCodec&) = delete;

  // --- receiving ---

  /// Takes the next piece of KCP's stream. poll_bytes() must then be drained.
  void feed(ReceiveWindow::Piece piece);
  /// The next bytes of smux, valid until release_views(); empty when all that was fed is decoded, or on an
  /// error.
  MutableBytes poll_bytes();
  /// Decrypts a data event of smux in place, if QPP is on. In the order of the stream.
  void decrypt(const StreamEvent& event);
  void release_views();
  /// Why the peer's stream cannot be decoded; empty while it can.
  std::string_view error() const { return error_; }
  /// Which setting the two ends do not share, as far as the peer's first bytes show it.
  Mismatch mismatch() const;

  // --- sending ---

  /// Lays out the frames of `bytes` of a stream's payload, and returns the room for the payload, in order. It
  /// is valid until commit(), which must follow before any other call. 0 bytes: no room.
  std::span<const MutableBytes> prepare(std::size_t bytes);
  /// The first `bytes` of the room have been filled: encrypts, frames and compresses them, and gives them to
  /// KCP.
  void commit(std::uint32_t sid, std::size_t bytes);
  /// Gives whole frames to KCP.
  void append_frames(Bytes frames);

 private:
  struct QppPair {
    QppStream sending;
    QppStream receiving;
  };

  MutableBytes keep_block(Bytes block);
  std::size_t write_frame_headers(std::uint32_t sid, std::size_t bytes);
  void append_stream(Bytes bytes);
  QppPair& qpp_pair(std::uint32_t sid);

  LinkContext& context_;
  Kcp& kcp_;
  const Smux& smux_;
  const std::size_t
      frame_size_;  // the largest smux payload sent; the context's settings may be newer than the session

  std::optional<SnappyDeframer> deframer_;
  MutableBytes piece_;            // what was fed
  Bytes input_;                   // the rest of it that is not decoded
  std::vector<PoolBuffer> held_;  // what views in events point into
  MutableBytes packed_;           // unused rest of the block in held_ that small blocks are packed into
  ProtocolSniffer received_;      // the beginning of the peer's stream
  ProtocolSniffer decompressed_;  // the same, decompressed
  std::string_view error_;

  std::optional<SnappyFramer> framer_;
  std::vector<MutableBytes> room_;     // of prepare(): frame headers included
  std::vector<MutableBytes> payload_;  // the same without the headers

  std::unordered_map<std::uint32_t, QppPair> qpp_;
};

}  // namespace kcptun
