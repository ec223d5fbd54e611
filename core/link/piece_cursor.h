// Walks over a byte range that lies in several pieces.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/check.h"

namespace kcptun {

/// Does not own the pieces, which outlive the cursor. Aborts if more is asked for than is left.
class PieceCursor {
 public:
  explicit PieceCursor(std::span<const MutableBytes> pieces) : pieces_(pieces) {}

  /// Calls `visit(MutableBytes)` for each stretch of the next `count` bytes.
  template <typename Visit>
  void advance(std::size_t count, Visit visit) {
    while (count > 0) {
      KCPTUN_CHECK(index_ < pieces_.size());
      const MutableBytes rest = pieces_[index_].subspan(offset_);
      const std::size_t take = std::min(count, rest.size());
      if (take > 0) visit(rest.first(take));
      count -= take;
      offset_ += take;
      if (offset_ < pieces_[index_].size()) continue;
      ++index_;
      offset_ = 0;
    }
  }
  void skip(std::size_t count) {
    advance(count, [](MutableBytes) {});
  }
  void write(Bytes bytes) {
    advance(bytes.size(), [&bytes](MutableBytes stretch) {
      std::memcpy(stretch.data(), bytes.data(), stretch.size());
      bytes = bytes.subspan(stretch.size());
    });
  }

 private:
  std::span<const MutableBytes> pieces_;
  std::size_t index_ = 0;
  std::size_t offset_ = 0;
};

}  // namespace kcptun
