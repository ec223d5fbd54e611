#include "daemon/engine/backlog.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"

namespace kcptun {

void Backlog::append(Bytes bytes) {
  while (!bytes.empty()) {
    const std::size_t end = begin_ + size_;  // relative to buffers_[first_]
    const std::size_t offset = end % pool_.buffer_size();
    if (first_ + end / pool_.buffer_size() == buffers_.size()) buffers_.emplace_back(pool_);
    const std::size_t take = std::min(bytes.size(), pool_.buffer_size() - offset);
    std::memcpy(buffers_.back().data() + offset, bytes.data(), take);
    size_ += take;
    bytes = bytes.subspan(take);
  }
}

std::size_t Backlog::fill(iovec* vectors, std::size_t limit) const {
  std::size_t count = 0;
  std::size_t left = size_;
  std::size_t offset = begin_;
  for (std::size_t i = first_; left > 0 && count < limit; ++i) {
    const std::size_t take = std::min(left, pool_.buffer_size() - offset);
    vectors[count++] = {buffers_[i].data() + offset, take};
    left -= take;
    offset = 0;
  }
  return count;
}

void Backlog::drop_front(std::size_t count) {
  KCPTUN_CHECK(count <= size_);
  size_ -= count;
  begin_ += count;
  for (; begin_ >= pool_.buffer_size(); begin_ -= pool_.buffer_size()) buffers_[first_++].reset();
  if (size_ == 0) {
    buffers_.clear();
    buffers_.shrink_to_fit();
    first_ = begin_ = 0;
  } else if (first_ * 2 > buffers_.size()) {
    buffers_.erase(buffers_.begin(), buffers_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

}  // namespace kcptun
