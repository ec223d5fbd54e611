// The Snappy framing format (docs/protocol.md section 7; google/snappy framing_format.txt) over one byte stream.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/bytes.h"

namespace kcptun {

/// Most bytes of a chunk before compression.
inline constexpr std::size_t kSnappyBlock = 65536;
/// Most that one SnappyFramer::encode() writes: stream identifier, chunk header, and the worst that the block format
/// does to kSnappyBlock bytes (32 + n + n / 6).
inline constexpr std::size_t kSnappyMaxEncoded = 10 + 8 + 32 + kSnappyBlock + kSnappyBlock / 6;

/// The writing end. Knows whether the stream has begun, and no more.
class SnappyFramer {
 public:
  /// Takes up to kSnappyBlock bytes from the front of `plain` and writes them to `out` as one chunk, behind the stream
  /// identifier the first time. Returns the bytes written. REQUIRES: out.size() >= kSnappyMaxEncoded.
  std::size_t encode(Bytes& plain, MutableBytes out);

 private:
  bool begun_ = false;
};

/// The reading end. Holds at most one chunk of input (76 KiB), and nothing between chunks.
class SnappyDeframer {
 public:
  enum class Status : std::uint8_t {
    kMore,    // all input is used up
    kBlock,   // a block was completed; call again until kMore, even if no input is left
    kFailed,  // not a Snappy stream, or damaged; stays so
  };
  struct Step {
    Status status = Status::kMore;
    Bytes block;  // of a kBlock: in `out` or in the input or, until the next feed(), in the deframer. Never empty.
  };

  /// Takes from the front of `input` what the next block needs. REQUIRES: out.size() >= kSnappyBlock.
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
  std::uint8_t header_size_ = 0;          // bytes of it that are here
  bool begun_ = false;                    // the stream identifier has come
  bool failed_ = false;
  std::size_t skip_ = 0;               // bytes left of a chunk of no interest
  std::vector<std::uint8_t> partial_;  // body of a chunk that came in pieces
};

}  // namespace kcptun
