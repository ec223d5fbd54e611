#include "daemon/engine/replay_buffer.h"

#include <algorithm>

#include "core/base/check.h"

namespace kcptun {

void ReplayBuffer::record(std::span<const MutableBytes> pieces, std::size_t count) {
  KCPTUN_CHECK(unsent().empty());
  if (!movable_) return;
  if (count > kLimit - bytes_.size()) return bind();
  for (const MutableBytes& piece : pieces) {
    const std::size_t take = std::min(count, piece.size());
    bytes_.insert(bytes_.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(take));
    count -= take;
  }
  replayed_ = bytes_.size();
}

}  // namespace kcptun
