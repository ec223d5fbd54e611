// The Snappy framing format over one byte stream (docs/develop/protocol.md section 7; google/snappy
// framing_format.txt).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/bytes.h"

namespace kcptun {

/// Maximum bytes in a chunk before compression.
inline constexpr std::size_t kSnappyBlock = 65536;
/// Maximum output of one SnappyFramer::encode(): stream identifier, chunk header, and the block format's
/// worst case for kSnappyBlock bytes (32 + n + n / 6).
inline constexpr std::size_t kSnappyMaxEncoded = 10 + 8 + 32 + kSnappyBlock + kSnappyBlock / 6;

/// The encoder. Its only state is whether the stream identifier was written.
class SnappyFramer {
 public:
  /// Consumes up to kSnappyBlock bytes from the front of `plain` and writes them to `out` as one chunk. The
  /// first call writes the stream identifier before it. Returns the number of bytes written.
  /// REQUIRES: out.size() >= kSnappyMaxEncoded.
  std::size_t encode(Bytes& plain, MutableBytes out);

 private:
  bool identifier_seen_ = false;
};

/// The decoder. Holds at most one chunk of input (76 KiB), and nothing between chunks.
class SnappyDeframer {
 public:
  enum class Status : std::uint8_t {
    kMore,    // all input is consumed
    kBlock,   // a block is complete; call again until kMore, even if no input is left
    kFailed,  // not a Snappy stream, or corrupt; permanent
  };
  struct Step {
    Status status = Status::kMore;
    // For kBlock: in `out`, in the input, or until the next feed() in the deframer. Never empty.
    Bytes block;
  };

  /// Consumes from the front of `input` what the next block needs. REQUIRES: out.size() >= kSnappyBlock.
  Step feed(Bytes& input, MutableBytes out);

  bool failed() const { return failed_; }
  std::size_t held_bytes() const { return partial_.capacity(); }

 private:
  Step fail();
  bool read_header(Bytes& input);
  bool header_allowed() const;
  bool take_body(Bytes& input, Bytes& body);
  Step finish_chunk(Bytes body, MutableBytes out);

  std::uint8_t type() const { return header_[0]; }
  std::size_t length() const { return load_u32(header_.data()) >> 8; }

  std::array<std::uint8_t, 4> header_{};  // type u8, length u24
  std::uint8_t header_size_ = 0;          // header bytes received
  bool identifier_seen_ = false;          // the stream identifier was received
  bool failed_ = false;
  std::size_t skip_ = 0;               // remaining bytes of a chunk to skip
  std::vector<std::uint8_t> partial_;  // body of a chunk that arrived in several pieces
};

}  // namespace kcptun
