// A copy of a stream's first bytes, so that the stream can restart in another session.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/base/bytes.h"

namespace kcptun {

/// Stores the bytes read from a local connection until the stream is bound to its session. It is bound when
/// the peer may have forwarded bytes, when the peer has answered, or when there are more than kLimit bytes.
/// Bytes of an earlier session are sent before anything new is read.
class ReplayBuffer {
 public:
  static constexpr std::size_t kLimit = 64 * 1024;

  /// `unsent`: the bytes that an earlier session read from the connection, at most kLimit.
  explicit ReplayBuffer(std::vector<std::uint8_t> unsent = {}) : bytes_(std::move(unsent)) {}

  /// Bytes to send before anything is read.
  Bytes unsent() const { return Bytes(bytes_).subspan(replayed_); }
  /// Adds bytes behind the unsent ones. REQUIRES: !movable().
  void append(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  /// The first `count` unsent bytes were sent.
  void drop_unsent(std::size_t count) {
    replayed_ += count;
    release_if_done();
  }
  /// `count` bytes were read into these pieces, in order. REQUIRES: unsent() is empty.
  void record(std::span<const MutableBytes> pieces, std::size_t count);
  /// Binds the stream to its session. Unsent bytes are kept until they are sent.
  void bind() {
    movable_ = false;
    release_if_done();
  }
  bool movable() const { return movable_; }
  std::size_t size() const { return bytes_.size(); }
  /// REQUIRES: movable().
  std::vector<std::uint8_t> take() { return std::exchange(bytes_, {}); }

 private:
  void release_if_done() {
    if (movable_ || replayed_ < bytes_.size()) return;
    bytes_ = {};
    replayed_ = 0;
  }

  std::vector<std::uint8_t> bytes_;
  std::size_t replayed_ = 0;  // bytes of bytes_ that were sent in this session
  bool movable_ = true;
};

}  // namespace kcptun
