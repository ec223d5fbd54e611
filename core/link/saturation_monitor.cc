#include "core/link/saturation_monitor.h"

namespace kcptun {
namespace {

// Intervals between the first and the last of a run: the run then lasts longer than one interval. Less: a
// transfer of some milliseconds that crosses the border of two intervals counts as bulk.
constexpr std::int64_t kMinRun = 2;

}  // namespace

void SaturationMonitor::record(TimePoint now, StreamLoad& stream, std::uint64_t bytes) {
  const std::int64_t interval = now.time_since_epoch() / kInterval;
  if (interval != stream.interval) {
    stream.interval = interval;
    stream.bytes = 0;
  }
  stream.bytes += bytes;
  if (stream.bytes < kBulkBytes) return;
  if (stream.bulk_interval != interval) {
    const bool goes_on = stream.bulk_interval && interval - *stream.bulk_interval <= kMaxGap;
    if (!goes_on || !stream.earlier_bulk) stream.earlier_bulk = goes_on ? stream.bulk_interval : std::nullopt;
    stream.bulk_interval = interval;
  }
  if (!stream.earlier_bulk || interval - *stream.earlier_bulk < kMinRun) return;
  bulk_until_ = now + kHoldTime;
  bulk_stream_ = &stream;
}

// Another bulk stream, if there is one, sets the time again with its next bytes.
void SaturationMonitor::forget(const StreamLoad& stream) {
  if (bulk_stream_ != &stream) return;
  bulk_stream_ = nullptr;
  bulk_until_.reset();
}

void SaturationMonitor::record_waiting(TimePoint now, std::size_t waiting) {
  if (waiting == 0) {
    waiting_since_.reset();
  } else if (!waiting_since_) {
    waiting_since_ = now;
  }
}

bool SaturationMonitor::saturated(TimePoint now) const {
  return (bulk_until_ && now < *bulk_until_) || (waiting_since_ && now - *waiting_since_ >= kWaitingTime);
}

}  // namespace kcptun
