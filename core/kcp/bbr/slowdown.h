// Detects that the path has become much slower.
#pragma once

#include <cstdint>
#include <optional>

#include "core/kcp/bbr/model.h"
#include "core/kcp/bbr/tally.h"

namespace kcptun::bbr {

/// The maximum of the bandwidth counts for ten rounds, and each of them takes as long as the queue that it
/// fills. A path of which far less arrives, while a full pipe is in flight and the round trip grows as time
/// passes, has become slower: then what arrives is the bandwidth at once. On a path that became longer the
/// round trip grows once, and beside other traffic more arrives.
class Slowdown {
 public:
  /// Returns the bytes per second that arrive, if the path has become slower. REQUIRES: Startup has filled
  /// the pipe.
  std::optional<std::uint64_t> handle_batch(const Model& model, const Batch& batch);

 private:
  Tally tally_;
  bool filled_ = true;      // a full pipe was in flight in the interval so far
  Duration min_rtt_{0};     // of the interval before
  std::uint32_t slow_ = 0;  // intervals in a row
};

}  // namespace kcptun::bbr
