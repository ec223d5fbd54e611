#include "core/kcp/bbr/model.h"

namespace kcptun::bbr {
namespace {

// Rounds for which a maximum of the bandwidth, and of extra_acked, counts. [BBRv1] BtlBwFilterLen; [BBR]
// BBR.ExtraAckedFilterLen. It must exceed kCycleLength, so that it holds the maximum of one probe until the
// next. Higher: a path that has become slower is flooded for longer.
constexpr std::uint64_t kFilterRounds = 10;
// Time for which they count at least. Rounds of a loopback take microseconds, and its bandwidth varies with
// the scheduler. Lower: a loopback's window collapses. Higher: a slower path is noticed later.
// docs/evidence/benchmarks.md.
constexpr Duration kFilterTime = milliseconds(500);

WindowedMax<std::uint64_t> new_filter() { return {kFilterRounds, kFilterTime}; }

}  // namespace

Model::Model() : bandwidth_(new_filter()), extra_acked_(new_filter()) {}

void Model::count_lost(const LostEvent& lost) {
  current_.lost += lost.packets;
  current_.loss_events += lost.events;
}

void Model::count_acked(const AckedEvent& acked) {
  current_.acked += acked.packets;
  current_.max_in_flight = std::max(current_.max_in_flight, acked.in_flight + acked.bytes);
  if (!acked.rtt) return;
  ++current_.samples;
  const Duration rtt = std::max<Duration>(*acked.rtt, Duration(1));
  current_.min_rtt = std::min(current_.min_rtt, rtt);
  if (min_rtt_.count() != 0 && rtt > min_rtt_) return;
  min_rtt_ = rtt;
  min_rtt_at_ = acked.now;
}

bool Model::end_round(const AckedEvent& acked) {
  if (!acked.rate) return false;
  current_.app_limited |= acked.rate->app_limited;
  if (acked.rate->prior_delivered < round_ends_at_) return false;
  round_ends_at_ = acked.delivered;
  ++round_count_;
  last_ = current_;
  current_ = Round{};
  return true;
}

void Model::set_bandwidth(std::uint64_t rate, TimePoint now) {
  bandwidth_ = new_filter();
  bandwidth_.update(rate, round_count_, now);
  old_rounds_until_ = round_count_ + 2;  // the current round began before
}

void Model::update_bandwidth(const AckedEvent& acked) {
  if (!acked.rate) return;
  if (acked.rate->app_limited && acked.rate->rate < bandwidth_.value()) return;
  const bool old = round_count_ < old_rounds_until_;
  bandwidth_.update(old ? std::min(acked.rate->rate, bandwidth_.value()) : acked.rate->rate, round_count_,
                    acked.now);
}

void Model::update_extra_acked(const AckedEvent& acked, std::uint64_t window) {
  const std::uint64_t expected = carried_in(acked.now - extra_acked_since_);
  if (extra_acked_delivered_ <= expected || extra_acked_delivered_ > CongestionController::kUnlimited / 2) {
    extra_acked_since_ = acked.now;
    extra_acked_.update(std::min(acked.bytes, window), round_count_, acked.now);
    extra_acked_delivered_ = acked.bytes;
    return;
  }
  extra_acked_delivered_ += acked.bytes;
  extra_acked_.update(std::min(extra_acked_delivered_ - expected, window), round_count_, acked.now);
}

std::uint64_t Model::bdp(double gain) const {
  return static_cast<std::uint64_t>(static_cast<double>(bandwidth_.value()) *
                                    static_cast<double>(min_rtt_.count()) * 1e-6 * gain);
}

std::uint64_t Model::carried_in(Duration time) const {
  return static_cast<std::uint64_t>(static_cast<double>(bandwidth_.value()) *
                                    static_cast<double>(time.count()) * 1e-6);
}

bool Model::is_queued(Duration rtt) const {
  return min_rtt_.count() != 0 && rtt > min_rtt_ + std::max<Duration>(min_rtt_ / 8, kQueueSlack);
}

}  // namespace kcptun::bbr
