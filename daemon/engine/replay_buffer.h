// A stream's first bytes, kept so that the stream can begin anew in another session.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/base/bytes.h"

namespace kcptun {

/// Keeps what was read from a local connection until the stream is bound to its session: because the peer may have
/// passed something on or has answered, or because the bytes are more than kLimit. Bytes of an earlier session come
/// first: they are sent again before anything is read.
class ReplayBuffer {
 public:
  static constexpr std::size_t kLimit = 64 * 1024;

  /// `unsent`: what an earlier session took from the connection, at most kLimit bytes.
  explicit ReplayBuffer(std::vector<std::uint8_t> unsent = {}) : bytes_(std::move(unsent)) {}

  /// Bytes that are to be sent before anything is read.
  Bytes unsent() const { return Bytes(bytes_).subspan(replayed_); }
  /// The first `count` of them were sent.
  void drop_unsent(std::size_t count) {
    replayed_ += count;
    release_if_done();
  }
  /// `count` bytes were read, into these pieces, in order. REQUIRES: unsent() is empty.
  void record(std::span<const MutableBytes> pieces, std::size_t count);
  /// The stream does not move any more; bytes that are still unsent stay until they are sent.
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
  std::size_t replayed_ = 0;  // of bytes_, sent in this session
  bool movable_ = true;
};

}  // namespace kcptun
