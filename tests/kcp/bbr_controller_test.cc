#include "core/kcp/bbr_controller.h"

#include <catch2/catch.hpp>

#include "core/kcp/delivery_rate.h"
#include "core/kcp/loss_estimator.h"
#include "core/kcp/pacer.h"
#include "core/kcp/windowed_max.h"

namespace kcptun {
namespace {

constexpr std::uint32_t kSegment = 1350;
const TimePoint kStart{seconds(100)};

/// A path of fixed rate and round trip that acknowledges what it is told was sent, a batch each millisecond.
struct FakePath {
  explicit FakePath(std::uint64_t bytes_per_second, Duration rtt) : rate(bytes_per_second), round_trip(rtt) {}

  void run(BbrController& model, Duration time, double loss = 0, Duration queue = Duration(0)) {
    for (const TimePoint end = now + time; now < end;) {
      now += milliseconds(1);
      const auto sent = std::min<std::uint64_t>(
          model.window(), model.pacing_rate() == 0 ? model.window() : model.pacing_rate() / 1000);
      const auto held = static_cast<std::uint64_t>((round_trip + queue) / milliseconds(1));  // milliseconds' worth
      const std::uint64_t bytes =
          std::min({sent, rate / 1000, heeds_window ? model.window() / held : CongestionController::kUnlimited});
      AckedEvent batch;
      batch.now = now;
      batch.packets = static_cast<std::uint32_t>(std::max<std::uint64_t>(bytes / kSegment, 1));
      batch.bytes = bytes;
      lost += loss * batch.packets;
      const auto whole = static_cast<std::uint32_t>(lost);
      lost -= whole;
      if (whole > 0) model.on_lost({whole, whole, 0});
      delivered += bytes;
      batch.delivered = delivered;
      const auto under_way = bytes * held;
      batch.in_flight = under_way;
      batch.rtt = round_trip + queue;
      batch.rate = RateSample{bytes * 1000, delivered > under_way ? delivered - under_way : 0, false};
      model.on_acked(batch);
    }
  }

  std::uint64_t rate;
  Duration round_trip;
  bool heeds_window = false;  // no more is under way than the model allows
  TimePoint now = kStart;
  std::uint64_t delivered = 0;
  double lost = 0;
};

}  // namespace

TEST_CASE("the model finds a path's bandwidth and round trip") {
  BbrController model(kSegment, 0);
  CHECK(model.pacing_rate() == 0);  // nothing is known: what the first window holds may leave at once
  CHECK(model.window() == 32 * kSegment);
  FakePath path(12'500'000, milliseconds(50));
  path.run(model, seconds(5));
  CHECK(model.estimate().round_trip == milliseconds(50));
  CHECK(model.estimate().bandwidth == Approx(12'500'000).epsilon(0.01));
  CHECK(model.pacing_rate() <= 12'500'000 * 126 / 100);
  CHECK(model.pacing_rate() >= 12'500'000 * 74 / 100);
  // The product, and 30 ms of queue at most with everybody's own share.
  CHECK(model.window() >= 12'500'000 / 20);
  CHECK(model.window() <= 12'500'000 * 81 / 1000 + 32 * kSegment);
}

TEST_CASE("losses alone do not slow the model down; what they take is sent on top") {
  BbrController model(kSegment, 0);
  FakePath path(12'500'000, milliseconds(50));
  path.run(model, seconds(10), 0.1);
  CHECK(model.estimate().bandwidth == Approx(12'500'000).epsilon(0.01));
  CHECK(model.window() >= 12'500'000 / 20);
}

TEST_CASE("losses with a queue make the model give way, down to what the path holds") {
  BbrController model(kSegment, 0);
  FakePath path(12'500'000, milliseconds(50));
  path.run(model, seconds(5));
  const std::uint64_t before = model.window();
  path.run(model, milliseconds(400), 0.1, milliseconds(40));  // for longer it would be the path's own loss
  CHECK(model.window() < before);
  CHECK(model.window() >= 12'500'000 / 20 * 99 / 100);
}

TEST_CASE("a sample taken across an outage holds nobody back") {
  BbrController model(kSegment, 0);
  AckedEvent batch;
  batch.now = kStart;
  batch.packets = 1;
  batch.bytes = batch.delivered = 36;
  batch.rtt = milliseconds(50);
  batch.rate = RateSample{7, 0, false};  // bytes per second
  model.on_acked(batch);
  CHECK(model.pacing_rate() >= 8 * kSegment * 20);
  FakePath path(1'000, milliseconds(50));
  path.run(model, seconds(5));
  CHECK(model.pacing_rate() >= 8 * kSegment * 20);
}

TEST_CASE("a loopback is not paced, and its queue is short") {
  BbrController model(kSegment, 0);
  FakePath path(1'000'000'000, microseconds(100));
  path.run(model, seconds(1));
  CHECK(model.pacing_rate() == 0);
  CHECK(model.window() <= 1'000'000'000 / 1000 * 11);
}

TEST_CASE("a windowed maximum forgets after so many rounds, but not before its time") {
  WindowedMax<int> max(10, milliseconds(100));
  max.update(50, 1, kStart);
  max.update(20, 5, kStart + milliseconds(40));
  CHECK(max.value() == 50);
  max.update(20, 14, kStart + milliseconds(50));  // the rounds are over, the time is not
  CHECK(max.value() == 50);
  max.update(30, 15, kStart + milliseconds(200));
  CHECK(max.value() == 30);
  max.update(60, 15, kStart + milliseconds(200));
  CHECK(max.value() == 60);
}

TEST_CASE("a windowed maximum falls step by step as the values do") {
  WindowedMax<int> max(10, milliseconds(100));
  const auto update = [&](int value, std::uint64_t round) { max.update(value, round, kStart + round * milliseconds(20)); };
  update(100, 1);
  update(80, 4);
  update(60, 10);
  update(1, 11);
  CHECK(max.value() == 100);
  update(1, 12);
  CHECK(max.value() == 80);
  update(1, 15);
  CHECK(max.value() == 60);
  for (std::uint64_t round = 16; round <= 40; ++round) update(1, round);
  CHECK(max.value() == 1);
}

TEST_CASE("a path that has become longer is measured anew, with half of what it held under way meanwhile") {
  BbrController model(kSegment, 0);
  FakePath path(12'500'000, milliseconds(50));
  path.run(model, seconds(5));
  const std::uint64_t before = model.window();
  path.round_trip = milliseconds(80);
  path.heeds_window = true;
  std::uint64_t smallest = before;
  for (int i = 0; i < 15'000; ++i) {
    path.run(model, milliseconds(1));
    smallest = std::min(smallest, model.window());
  }
  CHECK(smallest <= before / 2);
  CHECK(model.estimate().round_trip == milliseconds(80));
  CHECK(model.estimate().bandwidth == Approx(12'500'000).epsilon(0.05));
}

TEST_CASE("a round trip that could not be measured again stays as it was") {
  BbrController model(kSegment, 0);
  FakePath path(12'500'000, milliseconds(50));
  path.run(model, seconds(5));
  path.round_trip = milliseconds(80);
  path.heeds_window = true;
  const std::uint64_t before = model.window();
  for (int i = 0; i < 15'000 && model.window() > before / 2; ++i) path.run(model, milliseconds(1));
  REQUIRE(model.window() <= before / 2);  // it measures, and from here on nothing that arrives tells a round trip
  AckedEvent batch;
  batch.packets = 1;
  batch.bytes = kSegment;
  for (int i = 0; i < 20'000; ++i) {
    batch.now = path.now += milliseconds(1);
    batch.delivered = path.delivered += kSegment;
    batch.rate = RateSample{12'500'000, i == 0 ? path.delivered : 0, true};  // one round ends, the next one does not
    model.on_acked(batch);
  }
  CHECK(model.estimate().round_trip == milliseconds(50));
  CHECK(model.window() < 12'500'000);
}

TEST_CASE("a pacer spreads bytes over time and makes up for little") {
  Pacer pacer;
  CHECK(pacer.allows(kStart));
  pacer.charge(kStart, 1'000'000);
  CHECK(pacer.allows(kStart));  // no rate: nothing is held back
  pacer.set_rate(1'000'000);
  const auto burst = [&pacer](TimePoint now) {
    std::uint64_t bytes = 0;
    for (; pacer.allows(now); bytes += 100) pacer.charge(now, 100);
    return bytes;
  };
  const std::uint64_t first = burst(kStart);
  CHECK(first <= 3100);  // kBurstAllowance
  CHECK_FALSE(pacer.allows(kStart));
  CHECK(pacer.ready_at(kStart) >= kStart + Pacer::kTimerGranularity);
  CHECK(burst(kStart + milliseconds(10)) <= 3100);
  std::uint64_t total = 0;
  for (int ms = 11; ms <= 1010; ++ms) total += burst(kStart + milliseconds(ms));
  CHECK(total == Approx(1'000'000).epsilon(0.01));
}

TEST_CASE("a delivery rate is no larger than the rate of sending, however bunched acknowledgements are") {
  DeliveryRate rate;
  std::vector<std::pair<SentPacketState, TimePoint>> copies;
  for (int i = 0; i < 100; ++i) {  // 1,000 bytes each millisecond: 1 MB/s
    const TimePoint now = kStart + milliseconds(i);
    copies.emplace_back(rate.handle_sent(now, i == 0 ? 0 : 1000), now);
  }
  const TimePoint now = kStart + milliseconds(200);
  for (const auto& [state, sent_at] : copies) rate.handle_acked(now, 1000, &state, sent_at);
  const std::optional<RateSample> sample = rate.take_sample(milliseconds(10));
  REQUIRE(sample);
  CHECK(sample->rate <= 1'011'000);
  CHECK_FALSE(sample->app_limited);
  CHECK_FALSE(rate.take_sample(milliseconds(10)));  // nothing new
}

TEST_CASE("a sample taken while the application was the limit says so") {
  DeliveryRate rate;
  rate.handle_app_limited(0);
  const SentPacketState state = rate.handle_sent(kStart, 0);
  rate.handle_acked(kStart + milliseconds(50), 1000, &state, kStart);
  const std::optional<RateSample> sample = rate.take_sample(milliseconds(1));
  REQUIRE(sample);
  CHECK(sample->app_limited);
  CHECK_FALSE(rate.app_limited());  // what was under way then has been acknowledged
}

TEST_CASE("a loss estimate follows the path") {
  LossEstimator estimate;
  CHECK(estimate.share() == Approx(LossEstimator::kFirstGuess));
  for (int i = 0; i < 2000; ++i) estimate.handle_unprotected(1, 0);
  CHECK(estimate.share() < 0.0001);
  for (int i = 0; i < 200; ++i) estimate.handle_unprotected(9, 1);
  CHECK(estimate.share() == Approx(0.1).margin(0.01));
  estimate.handle_unprotected(0, 0);
  CHECK(estimate.share() == Approx(0.1).margin(0.01));
}

TEST_CASE("a loss that parity cannot bring back shows before the next copies without parity do") {
  LossEstimator estimate;
  for (int i = 0; i < 2000; ++i) estimate.handle_unprotected(1, 0);
  for (int i = 0; i < 200; ++i) estimate.handle_protected(19, 1);
  CHECK(estimate.share() == Approx(0.05).margin(0.005));
  for (int i = 0; i < 200; ++i) estimate.handle_protected(20, 0);
  CHECK(estimate.share() < 0.0001);
}

}  // namespace kcptun
