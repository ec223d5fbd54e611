#include "core/kcp/bbr/slowdown.h"

#include <algorithm>
#include <utility>

namespace kcptun::bbr {
namespace {

// Share of the bandwidth that arrives. Lower: the queue of a path that became slower grows for longer.
// Higher: other sessions that begin take the bandwidth. [sim] goodput_test, "two conversations share a path".
constexpr double kSlow = 0.4;
// Growth of the round trip, as a share of the time that passes: where less than kSlow arrives of what is
// sent, it is 0.6. Lower: paths whose round trip wanders seem slower. Higher: so many packets are lost before
// that nothing shows. [sim] hard_path_test, "a path that becomes ten times slower".
constexpr double kRise = 0.3;
// Intervals in a row, each a round trip and kMinInterval at least. Lower: one gap in what arrives is enough.
// Higher: the queue grows for longer. [sim] as kRise.
constexpr std::uint32_t kIntervals = 2;
constexpr Duration kMinInterval = milliseconds(20);

}  // namespace

std::optional<std::uint64_t> Slowdown::handle_batch(const Model& model, const Batch& batch) {
  tally_.add(batch);
  filled_ =
      filled_ && !model.current().app_limited && batch.acked.in_flight + batch.acked.bytes >= model.bdp(1);
  const Duration elapsed = batch.acked.now - tally_.since;
  if (elapsed < std::max(model.min_rtt(), kMinInterval)) return std::nullopt;
  const std::uint64_t rate = tally_.rate(batch.acked);
  const bool queue = tally_.samples >= kQueueSamples && model.is_queued(tally_.min_rtt);
  const bool slow =
      filled_ && queue && static_cast<double>(rate) < kSlow * static_cast<double>(model.bandwidth());
  const Duration rise = tally_.min_rtt - std::exchange(min_rtt_, tally_.min_rtt);
  slow_ = slow ? slow_ + 1 : 0;
  filled_ = true;
  tally_.restart(batch.acked);
  if (slow_ < kIntervals || static_cast<double>(rise.count()) < kRise * static_cast<double>(elapsed.count()))
    return std::nullopt;
  slow_ = 0;
  return rate;
}

}  // namespace kcptun::bbr
