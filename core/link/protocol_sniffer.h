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

/// Keeps the first kSize bytes of a stream.
class ProtocolSniffer {
 public:
  static constexpr std::size_t kSize = kFrameHeader;

  void observe(Bytes bytes) {
    const std::size_t taken = std::min(bytes.size(), kSize - size_);
    std::copy_n(bytes.begin(), taken, bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += taken;
  }

  /// The stream identifier of the Snappy framing format (docs/protocol.md section 7). No smux version is 0xff.
  bool is_snappy() const {
    constexpr std::array<std::uint8_t, kSize> kSnappy{0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50};
    return bytes_ == kSnappy;
  }
  /// A smux frame of either version, as it may stand at the beginning.
  bool is_frame() const {
    if (size_ < kSize) return false;
    const FrameHeader header = read_frame_header(bytes_.data());
    const bool known = header.command <= static_cast<std::uint8_t>(SmuxCommand::kUpdate);
    return (header.version == 1 || header.version == 2) && known && header.sid < (1u << 24);
  }
  std::uint8_t smux_version() const { return bytes_[0]; }

 private:
  std::array<std::uint8_t, kSize> bytes_{};
  std::size_t size_ = 0;
};

/// `raw`: the beginning of KCP's stream; `decompressed`: the same, decompressed. `compress` and `version` (of smux) are
/// this end's settings.
inline Mismatch find_mismatch(const ProtocolSniffer& raw, const ProtocolSniffer& decompressed, bool compress,
                              std::uint32_t version) {
  if (!compress && raw.is_snappy()) return Mismatch::kOnlyPeerCompresses;
  if (compress && raw.is_frame()) return Mismatch::kOnlyWeCompress;
  const ProtocolSniffer& frames = compress ? decompressed : raw;
  return frames.is_frame() && frames.smux_version() != version ? Mismatch::kSmuxVersion : Mismatch::kNone;
}

}  // namespace kcptun
