// Which setting of the two ends differs, as far as the first bytes of the peer's stream show it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/base/bytes.h"
#include "core/smux/frame.h"

namespace kcptun {

/// Which setting the two ends do not share.
enum class Mismatch : std::uint8_t {
  kNone,  // none that shows
  kOnlyPeerCompresses,
  kOnlyWeCompress,
  kSmuxVersion,  // the peer speaks the other one
};

/// Keeps the first kSize bytes of a stream: enough for a Snappy stream of one frame.
class ProtocolSniffer {
 public:
  static constexpr std::size_t kSize = 32;

  void observe(Bytes bytes) {
    const std::size_t taken = std::min(bytes.size(), kSize - size_);
    std::copy_n(bytes.begin(), taken, bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += taken;
  }

  /// The stream identifier of the Snappy framing format (docs/develop/protocol.md section 7). No smux version
  /// is 0xff.
  bool is_snappy() const {
    constexpr std::array<std::uint8_t, 8> kSnappy{0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50};
    return std::equal(kSnappy.begin(), kSnappy.end(), bytes_.begin());
  }
  /// A smux frame of either version, as it may stand at the beginning.
  bool is_frame() const {
    if (size_ < kFrameHeader) return false;
    const FrameHeader header = read_frame_header(bytes_.data());
    const bool known = header.command <= static_cast<std::uint8_t>(SmuxCommand::kUpdate);
    return (header.version == 1 || header.version == 2) && known && header.sid < (1u << 24);
  }
  std::uint8_t smux_version() const { return bytes_[0]; }
  /// A session that begins with our own mark, which a client sends behind its first SYN only: a probe, which
  /// tries all settings in turn, and the wrong ones are no mistake (docs/develop/protocol.md section 12).
  bool is_probe() const {
    // Snappy: stream identifier, header of the chunk and its checksum, then the frame as it is, or behind the
    // length of the block and the tag of its one literal.
    constexpr std::size_t kInChunk = 10 + 4 + 4;
    constexpr std::size_t kInLiteral = kInChunk + 2;
    return has_mark_at(0) || (is_snappy() && (has_mark_at(kInChunk) || has_mark_at(kInLiteral)));
  }

 private:
  bool has_mark_at(std::size_t at) const {
    if (size_ < at + kFrameHeader) return false;
    const FrameHeader header = read_frame_header(bytes_.data() + at);
    return header.command == static_cast<std::uint8_t>(SmuxCommand::kNop) && header.sid == kProgramMark;
  }

  std::array<std::uint8_t, kSize> bytes_{};
  std::size_t size_ = 0;
};

/// `raw`: the beginning of KCP's stream; `decompressed`: the same, decompressed. `compress` and `version` (of
/// smux) are this end's settings.
inline Mismatch find_mismatch(const ProtocolSniffer& raw, const ProtocolSniffer& decompressed, bool compress,
                              std::uint32_t version) {
  if (raw.is_probe() || decompressed.is_probe()) return Mismatch::kNone;
  if (!compress && raw.is_snappy()) return Mismatch::kOnlyPeerCompresses;
  if (compress && raw.is_frame()) return Mismatch::kOnlyWeCompress;
  const ProtocolSniffer& frames = compress ? decompressed : raw;
  return frames.is_frame() && frames.smux_version() != version ? Mismatch::kSmuxVersion : Mismatch::kNone;
}

}  // namespace kcptun
