#include "daemon/tunnel/counter_writer.h"

#include <time.h>

#include <algorithm>
#include <chrono>

#include "daemon/log/log.h"

namespace kcptun {

std::unique_ptr<CounterWriter> CounterWriter::make(uv_loop_t& loop, Tunnel& tunnel) {
  const Profile& profile = tunnel.profile();
  if (profile.snmplog.empty() || profile.snmpperiod.count() == 0) return nullptr;
  return std::make_unique<CounterWriter>(loop, tunnel);
}

CounterWriter::CounterWriter(uv_loop_t& loop, Tunnel& tunnel)
    : tunnel_(tunnel),
      log_(tunnel.profile().snmplog),
      period_ms_(static_cast<std::uint64_t>(
          std::chrono::duration_cast<milliseconds>(tunnel.profile().snmpperiod).count())),
      due_ms_(uv_now(&loop) + period_ms_),
      loop_(loop),
      timer_(loop, [this] { handle_due(); }) {
  arm();
}

void CounterWriter::handle_due() {
  due_ms_ = std::max(due_ms_ + period_ms_, uv_now(&loop_));
  arm();
  tunnel_.collect([this](const TunnelTotals& totals) { append(totals.counters); });
}

void CounterWriter::arm() {
  const std::uint64_t now = uv_now(&loop_);
  timer_.start(due_ms_ > now ? due_ms_ - now : 0);
}

void CounterWriter::append(const Counters& counters) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const EventLog log(tunnel_.profile().name);
  const Result<bool> appended = log_.append(now, counters);
  if (appended && failing_) log.info("snmplog is written again");
  if (!appended && !failing_)
    log.warning("snmplog is not written", {{"error", appended.error()}, {"next_try_s", period_ms_ / 1000}});
  failing_ = !appended;
}

}  // namespace kcptun
