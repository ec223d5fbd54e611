#include "daemon/process/service_status.h"

#include <array>
#include <cstdio>
#include <string_view>
#include <utility>

namespace kcptun {
namespace {

// At most three digits: "950 B/s", "3.1 MB/s", "10 MB/s".
std::string rate_text(double rate) {
  constexpr std::array<std::string_view, 4> kUnits{"B/s", "kB/s", "MB/s", "GB/s"};
  std::size_t unit = 0;
  for (; rate >= 999.5 && unit + 1 < kUnits.size(); ++unit) rate /= 1000;
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), unit > 0 && rate < 9.95 ? "%.1f " : "%.0f ", rate);
  return std::string(text.data()).append(kUnits[unit]);
}

std::string counted(std::uint64_t count, std::string_view word) {
  return std::to_string(count).append(" ").append(word).append(count == 1 ? "" : "s");
}

// Returns 0 if the sum shrank because a tunnel was removed.
double per_second(std::uint64_t now, std::uint64_t before, std::uint64_t ms) {
  return now > before && ms > 0 ? static_cast<double>(now - before) * 1000 / static_cast<double>(ms) : 0;
}

}  // namespace

std::string status_text(std::uint64_t sessions, std::size_t streams, double up, double down) {
  return counted(sessions, "session") + ", " + counted(streams, "stream") + ", " + rate_text(up) + " up, " +
         rate_text(down) + " down";
}

ServiceStatus::ServiceStatus(uv_loop_t& loop, ServiceNotifier& service, Role role, Collect collect)
    : loop_(loop),
      service_(service),
      role_(role),
      collect_(std::move(collect)),
      at_ms_(uv_now(&loop)),
      timer_(loop, [this] { handle_due(); }) {
  timer_.start(kPeriodMs);
}

void ServiceStatus::handle_due() {
  timer_.start(kPeriodMs);
  collect_([this, alive = std::weak_ptr<bool>(alive_)](const TunnelTotals& totals) {
    if (alive.lock()) tell(totals);
  });
}

void ServiceStatus::tell(const TunnelTotals& totals) {
  const std::uint64_t now = uv_now(&loop_);
  const double sent = per_second(totals.counters.bytes_sent, last_totals_.bytes_sent, now - at_ms_);
  const double received =
      per_second(totals.counters.bytes_received, last_totals_.bytes_received, now - at_ms_);
  at_ms_ = now;
  last_totals_ = totals.counters;
  const bool client = role_ == Role::kClient;
  std::string text = client ? peer_text(totals.peer, unix_time()) + ", " : "";
  text += status_text(totals.counters.curr_estab, totals.streams, client ? sent : received,
                      client ? received : sent);
  if (text == last_sent_) return;
  service_.status(text);
  last_sent_ = std::move(text);
}

}  // namespace kcptun
