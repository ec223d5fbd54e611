// Bytes that wait for a TCP peer whose receive window is full.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/bytes.h"

namespace kcptun {

/// A byte queue in pool buffers. Bounded by smux flow control: its bytes count as unread until they are
/// written.
class Backlog {
 public:
  /// `pool` outlives the backlog.
  explicit Backlog(BufferPool& pool) : pool_(pool) {}

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  void append(Bytes bytes);
  /// Describes the first bytes in up to `limit` vectors. Returns the number of vectors filled.
  std::size_t fill(iovec* vectors, std::size_t limit) const;
  /// REQUIRES: count <= size().
  void drop_front(std::size_t count);

 private:
  BufferPool& pool_;
  std::vector<PoolBuffer> buffers_;  // the buffers before first_ are empty
  std::size_t first_ = 0;
  std::size_t begin_ = 0;  // offset of the first byte in buffers_[first_]
  std::size_t size_ = 0;
};

}  // namespace kcptun
