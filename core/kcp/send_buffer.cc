#include "core/kcp/send_buffer.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace kcptun {

SendBuffer::SendBuffer(BufferPool& pool, std::size_t segment_size, std::uint32_t first_sn)
    : pool_(pool), segment_size_(segment_size), begin_(first_sn), next_(first_sn), end_(first_sn) {
  KCPTUN_CHECK(segment_size > 0 && segment_size <= pool.buffer_size());
}

SendBuffer::~SendBuffer() {
  for (std::uint32_t sn = begin_; sn != end_ + prepared_; ++sn)
    if (std::uint8_t* data = ring_[sn].data) pool_.put(data);
}

void SendBuffer::set_segment_size(std::size_t bytes) {
  KCPTUN_CHECK(prepared_ == 0 && bytes > 0 && bytes <= pool_.buffer_size());
  segment_size_ = bytes;
}

// How many of `bytes` bytes the last queued segment takes.
std::size_t SendBuffer::tail_room(std::size_t bytes) const {
  return has_open_tail() ? std::min(bytes, segment_size_ - ring_[end_ - 1].length) : 0;
}

void SendBuffer::prepare(std::size_t bytes, std::vector<MutableBytes>& pieces) {
  KCPTUN_CHECK(prepared_ == 0);
  if (const std::size_t take = tail_room(bytes); take > 0) {
    Slot& tail = ring_[end_ - 1];
    pieces.push_back({tail.data + tail.length, take});
    bytes -= take;
  }
  const std::size_t count = (bytes + segment_size_ - 1) / segment_size_;
  const std::uint32_t used = end_ - begin_;
  ring_.reserve(begin_, used, used + count);
  for (; bytes > 0; ++prepared_) {
    Slot& slot = ring_[end_ + prepared_];
    slot = {pool_.take(), 0};
    const std::size_t take = std::min(bytes, segment_size_);
    pieces.push_back({slot.data, take});
    bytes -= take;
  }
}

void SendBuffer::commit(std::size_t bytes) {
  if (const std::size_t take = tail_room(bytes); take > 0) {
    Slot& tail = ring_[end_ - 1];
    tail.length = static_cast<std::uint16_t>(tail.length + take);
    bytes -= take;
  }
  for (; bytes > 0; ++end_, --prepared_) {
    KCPTUN_CHECK(prepared_ > 0);
    const std::size_t take = std::min(bytes, segment_size_);
    ring_[end_].length = static_cast<std::uint16_t>(take);
    bytes -= take;
  }
  for (; prepared_ > 0; --prepared_) pool_.put(std::exchange(ring_[end_ + prepared_ - 1].data, nullptr));
}

void SendBuffer::release(std::uint32_t sn) {
  pool_.put(std::exchange(ring_[sn].data, nullptr));
  while (begin_ != next_ && !ring_[begin_].data) ++begin_;
}

void SendBuffer::trim() {
  if (begin_ == end_) ring_.release();
}

}  // namespace kcptun
