#include "tests/lab/link_model.h"

#include <algorithm>

namespace kcptun::lab {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;  // ns
constexpr std::int64_t kMinWave = 10'000'000;     // ns between two random levels of jitter, at least

std::int64_t time_of(std::uint32_t bytes, std::uint64_t rate) {
  return static_cast<std::int64_t>(std::uint64_t{bytes} * kSecond / rate);
}

}  // namespace

LinkModel::LinkModel(std::uint64_t seed)
    : seed_(seed), loss_random_(seed * 4 + 1), burst_random_(seed * 4 + 2), reorder_random_(seed * 4 + 3) {}

LinkModel::Verdict LinkModel::offer(LinkTime now, std::uint32_t size) {
  ++counters_.offered;
  counters_.offered_bytes += size;
  if (settings_.black_hole) {
    ++counters_.black_holed;
    return {Fate::kBlackHole};
  }
  if (settings_.mtu != 0 && size > settings_.mtu) {
    ++counters_.too_big;
    return {Fate::kTooBig};
  }
  if (policed(now, size)) {
    ++counters_.policed;
    return {Fate::kPoliced};
  }
  const std::optional<LinkTime> sent = through_bottleneck(now, size);
  if (!sent) {
    ++counters_.queue_drops;
    return {Fate::kQueueFull};
  }
  if (lost()) {
    ++counters_.lost;
    return {Fate::kLost};
  }
  LinkTime out = *sent + settings_.delay + jitter_at(*sent);
  if (reorder_random_.chance(settings_.reorder)) {
    ++counters_.reordered;
    out += settings_.reorder_delay;
  }
  ++counters_.carried;
  counters_.carried_bytes += size;
  return {Fate::kPasses, out};
}

std::uint64_t LinkModel::queued(LinkTime now) const {
  if (free_at_ <= now) return 0;
  // Seconds and the rest apart, because their product with the rate may not fit into 64 bits.
  const auto left = static_cast<std::uint64_t>((free_at_ - now).count());
  return left / kSecond * free_rate_ + left % kSecond * free_rate_ / kSecond;
}

bool LinkModel::policed(LinkTime now, std::uint32_t size) {
  if (settings_.police == 0) {
    spent_ = 0;  // the bucket of the next policer is full
    refilled_at_ = now;
    return false;
  }
  const double refill =
      static_cast<double>(settings_.police) * std::chrono::duration<double>(now - refilled_at_).count();
  spent_ = std::max(0.0, spent_ - refill);
  refilled_at_ = now;
  if (spent_ + size > static_cast<double>(settings_.bucket)) return true;
  spent_ += size;
  return false;
}

std::optional<LinkTime> LinkModel::through_bottleneck(LinkTime now, std::uint32_t size) {
  if (settings_.rate == 0) return std::max(now, free_at_);
  const std::uint64_t waiting = queued(now) + size;
  if (waiting > settings_.queue) return std::nullopt;
  counters_.max_queue = std::max(counters_.max_queue, waiting);
  free_at_ = std::max(free_at_, now) + LinkDuration(time_of(size, settings_.rate));
  free_rate_ = settings_.rate;
  return free_at_;
}

// Gilbert's model (Gilbert 1960, "Capacity of a burst-noise channel"): in the bad state everything is lost. A
// burst ends with probability 1 / length after each packet; with the share s of packets in the bad state,
// stationarity wants good to bad with s / (1 - s) / length.
bool LinkModel::lost() {
  const double length = settings_.burst_length, share = settings_.burst_loss;
  in_burst_ =
      in_burst_ ? !burst_random_.chance(1 / length) : burst_random_.chance(share / (1 - share) / length);
  const bool alone = loss_random_.chance(settings_.loss);
  return in_burst_ || alone;
}

// Levels drawn per wave of at least twice the jitter's length, straight lines between: the delay falls at
// most half as fast as time passes, so packets keep their order.
LinkDuration LinkModel::jitter_at(LinkTime when) const {
  const std::int64_t most = settings_.jitter.count();
  if (most == 0) return LinkDuration(0);
  const std::int64_t wave = std::max(2 * most, kMinWave), at = when.time_since_epoch().count();
  const std::int64_t index = at / wave, into = at % wave;
  const auto level = [this, most](std::int64_t i) {
    return static_cast<double>(Random(seed_ ^ (static_cast<std::uint64_t>(i) << 8)).next() >> 11) *
           0x1.0p-53 * static_cast<double>(most);
  };
  const double from = level(index), to = level(index + 1);
  return LinkDuration(
      static_cast<std::int64_t>(from + (to - from) * static_cast<double>(into) / static_cast<double>(wave)));
}

}  // namespace kcptun::lab
