// The outgoing byte stream, cut into segments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/bytes.h"
#include "core/base/ring.h"

namespace kcptun {

/// Holds the data of segments: those in [next, end) are queued and have never been sent, those below `next`
/// have been sent and are kept until release(). Knows bytes and sequence numbers; does not know time, loss or
/// windows. Not bounded here: the caller asks for room (Kcp::send_room) before it writes.
class SendBuffer {
 public:
  /// `pool` outlives the buffer, and its buffers hold at least `segment_size` bytes. `first_sn` other than 0
  /// is for tests.
  SendBuffer(BufferPool& pool, std::size_t segment_size, std::uint32_t first_sn);
  ~SendBuffer();
  SendBuffer(const SendBuffer&) = delete;
  SendBuffer& operator=(const SendBuffer&) = delete;

  /// Allocates room for `bytes` more bytes at the end of the stream and appends the pieces to `pieces`, in
  /// order. The pieces are writable until commit(), which must be the next call.
  void prepare(std::size_t bytes, std::vector<MutableBytes>& pieces);
  /// Appends the first `bytes` prepared bytes to the stream and frees the rest.
  void commit(std::size_t bytes);
  /// Data bytes per segment from now on. Segments that hold more keep it. REQUIRES: nothing is prepared.
  void set_segment_size(std::size_t bytes);

  /// Takes the next queued segment and returns its number. Later bytes go into the segments behind it.
  /// REQUIRES: has_queued().
  std::uint32_t cut() { return next_++; }
  /// REQUIRES: `sn` is queued, or was cut and not released. Valid until release(sn).
  Bytes data(std::uint32_t sn) const { return {ring_[sn].data, ring_[sn].length}; }
  /// Frees the data of a segment. REQUIRES: `sn` was cut and not released.
  void release(std::uint32_t sn);

  std::uint32_t next() const { return next_; }
  std::uint32_t end() const { return end_; }
  bool has_queued() const { return next_ != end_; }
  /// The segment that the next byte of the stream goes into. REQUIRES: nothing is prepared.
  std::uint32_t next_byte_sn() const { return has_open_tail() ? end_ - 1 : end_; }

  /// Frees idle memory if no segment holds data.
  void trim();

 private:
  struct Slot {
    std::uint8_t* data = nullptr;  // a buffer of the pool; nullptr: released
    std::uint16_t length = 0;
  };

  bool has_open_tail() const { return has_queued() && ring_[end_ - 1].length < segment_size_; }
  std::size_t tail_room(std::size_t bytes) const;

  BufferPool& pool_;
  std::size_t segment_size_;
  SequenceRing<Slot> ring_;
  std::uint32_t begin_;         // no segment below holds data
  std::uint32_t next_;          // first queued segment
  std::uint32_t end_;           // behind the last queued segment
  std::uint32_t prepared_ = 0;  // buffers behind end_, between prepare() and commit()
};

}  // namespace kcptun
