#include "core/probe/ping_train.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/probe/probe_segment.h"

namespace kcptun {
namespace {

// Packets of one burst arrive closer together than pings are sent.
constexpr Duration kBurst = microseconds(2000);
// Set in the ts of fills, never in that of pings.
constexpr std::uint32_t kFillTs = 0x80000000;

std::size_t write_push(std::uint8_t* out, std::uint32_t conv, std::uint32_t sn, std::uint32_t ts) {
  Segment segment;
  segment.conv = conv;
  segment.sn = sn;
  segment.ts = ts;
  return write_probe_segment(out, segment, {}, 0);
}

}  // namespace

PingTrain::PingTrain(std::uint32_t conv, std::uint32_t pings)
    : conv_(conv), pings_(pings), acked_(pings + 1), lost_(pings + 1) {
  KCPTUN_CHECK(pings >= 1 && pings < kFillTs);
  sent_.reserve(pings + 1);
}

std::size_t PingTrain::write_ping(TimePoint now, std::uint8_t* out) {
  KCPTUN_CHECK(pings_left());
  const auto ping = static_cast<std::uint32_t>(sent_.size());
  sent_.push_back(now);
  for (std::uint32_t i = 0; i < kCopies; ++i) out += write_push(out, conv_, ping, ping);
  return kPingBody;
}

std::size_t PingTrain::write_gap_segment(std::uint8_t* out) {
  if (resolved()) return 0;
  lost_[una_] = true;  // the time for anything else to advance una is over
  return write_push(out, conv_, una_, kFillTs | una_);
}

void PingTrain::handle(TimePoint now, Bytes body) {
  count_.handle(body);
  std::uint32_t newest = 0;
  for_each_segment(body, conv_, [&](const Segment& segment) { handle_segment(segment, newest); });
  if (newest == 0) return;
  ++replies_;
  if (!samples_.empty() && now - samples_.back().at < kBurst) {
    samples_.back().ping = std::max(samples_.back().ping, newest);
    samples_.back().at = now;
  } else {
    samples_.push_back({newest, now});
  }
}

void PingTrain::handle_segment(const Segment& segment, std::uint32_t& newest) {
  handle_una(segment.una);
  window_ = std::max<std::uint32_t>(window_, segment.window);
  if (segment.command != KcpCommand::kAck || segment.ts >= sent_.size() || segment.ts != segment.sn) return;
  if (segment.ts == 0) return;
  acked_[segment.ts] = true;
  newest = std::max(newest, segment.ts);
}

// Bounded by what was sent: the peer is not trusted.
void PingTrain::handle_una(std::uint32_t una) {
  if (una <= sent_.size() && una <= pings_ + 1) una_ = std::max(una_, una);
}

std::vector<Duration> PingTrain::round_trips() const {
  std::vector<Duration> trips;
  for (const Sample& sample : samples_) trips.push_back(sample.at - sent_[sample.ping]);
  return trips;
}

LossCount PingTrain::up() const {
  LossCount count;
  for (std::uint32_t ping = 1; ping < sent_.size(); ++ping) {
    if (acked_[ping] || (ping < una_ && !lost_[ping])) {
      ++count.arrived;
    } else if (lost_[ping]) {
      ++count.lost;
    }
  }
  return count;
}

LossCount PingTrain::down() const {
  if (const auto counted = count_.loss()) return *counted;
  // Without packet numbers: estimates the lost replies of an unbroken run of arrived but unacknowledged pings
  // from the pings per reply elsewhere; at least one per run.
  std::uint64_t acked = 0, lost = 0, run = 0;
  for (std::uint32_t ping = 1; ping < una_; ++ping) acked += acked_[ping] ? 1 : 0;
  const std::uint64_t per_reply =
      replies_ == 0 ? 1 : std::max<std::uint64_t>(1, (acked + replies_ / 2) / replies_);
  const auto end_run = [&] {
    if (run > 0) lost += std::max<std::uint64_t>(1, (run + per_reply / 2) / per_reply);
    run = 0;
  };
  for (std::uint32_t ping = 1; ping < una_; ++ping) {
    if (acked_[ping]) {
      end_run();
    } else if (!lost_[ping]) {
      ++run;
    }
  }
  end_run();
  return {replies_, lost};
}

}  // namespace kcptun
