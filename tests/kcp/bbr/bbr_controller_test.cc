#include "core/kcp/bbr/bbr_controller.h"

#include <catch2/catch.hpp>

namespace kcptun::bbr_controller_test {
namespace {

constexpr std::uint32_t kSegment = 1350;
const TimePoint kStart{seconds(100)};

/// A path of fixed rate and round trip that acknowledges what the controller lets leave, a batch each
/// millisecond.
struct FakePath {
  explicit FakePath(std::uint64_t bytes_per_second, Duration rtt) : rate(bytes_per_second), round_trip(rtt) {}

  void run(BbrController& bbr, Duration time, double loss = 0, Duration queue = Duration(0)) {
    for (const TimePoint end = now + time; now < end;) {
      now += milliseconds(1);
      const auto sent = std::min<std::uint64_t>(
          bbr.window(), bbr.pacing_rate() == 0 ? bbr.window() : bbr.pacing_rate() / 1000);
      const auto held =
          static_cast<std::uint64_t>((round_trip + queue) / milliseconds(1));  // milliseconds' worth
      const std::uint64_t bytes = std::min(
          {sent, rate / 1000, heeds_window ? bbr.window() / held : CongestionController::kUnlimited});
      AckedEvent batch;
      batch.now = now;
      batch.packets = static_cast<std::uint32_t>(std::max<std::uint64_t>(bytes / kSegment, 1));
      batch.bytes = bytes;
      lost += loss * batch.packets;
      const auto whole = static_cast<std::uint32_t>(lost);
      lost -= whole;
      if (whole > 0) bbr.on_lost({whole, whole, 0});
      delivered += bytes;
      batch.delivered = delivered;
      const auto under_way = bytes * held;
      batch.in_flight = under_way;
      batch.rtt = round_trip + queue;
      batch.rate = RateSample{bytes * 1000, delivered > under_way ? delivered - under_way : 0, false};
      bbr.on_acked(batch);
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
  BbrController bbr(kSegment, 0);
  CHECK(bbr.pacing_rate() == 0);  // nothing is known: what the first window holds may leave at once
  CHECK(bbr.window() == 32 * kSegment);
  FakePath path(12'500'000, milliseconds(50));
  path.run(bbr, seconds(5));
  CHECK(bbr.estimate().round_trip == milliseconds(50));
  CHECK(bbr.estimate().bandwidth == Approx(12'500'000).epsilon(0.01));
  CHECK(bbr.pacing_rate() <= 12'500'000 * 126 / 100);
  CHECK(bbr.pacing_rate() >= 12'500'000 * 74 / 100);
  // The product, and 30 ms of queue at most with everybody's own share.
  CHECK(bbr.window() >= 12'500'000 / 20);
  CHECK(bbr.window() <= 12'500'000 * 81 / 1000 + 32 * kSegment);
}

TEST_CASE("losses alone do not slow the model down; what they take is sent on top") {
  BbrController bbr(kSegment, 0);
  FakePath path(12'500'000, milliseconds(50));
  path.run(bbr, seconds(10), 0.1);
  CHECK(bbr.estimate().bandwidth == Approx(12'500'000).epsilon(0.01));
  CHECK(bbr.window() >= 12'500'000 / 20);
}

TEST_CASE("losses with a queue make the model give way, down to what the path holds") {
  BbrController bbr(kSegment, 0);
  FakePath path(12'500'000, milliseconds(50));
  path.run(bbr, seconds(5));
  const std::uint64_t before = bbr.window();
  path.run(bbr, milliseconds(400), 0.1, milliseconds(40));  // for longer it would be the path's own loss
  CHECK(bbr.window() < before);
  CHECK(bbr.window() >= 12'500'000 / 20 * 99 / 100);
}

TEST_CASE("a sample taken across an outage holds nobody back") {
  BbrController bbr(kSegment, 0);
  AckedEvent batch;
  batch.now = kStart;
  batch.packets = 1;
  batch.bytes = batch.delivered = 36;
  batch.rtt = milliseconds(50);
  batch.rate = RateSample{7, 0, false};  // bytes per second
  bbr.on_acked(batch);
  CHECK(bbr.pacing_rate() >= 8 * kSegment * 20);
  FakePath path(1'000, milliseconds(50));
  path.run(bbr, seconds(5));
  CHECK(bbr.pacing_rate() >= 8 * kSegment * 20);
}

TEST_CASE("a slow path has two packets in flight, and one while its round trip is measured") {
  BbrController bbr(kSegment, 0);
  FakePath path(8'000, milliseconds(272));  // a packet takes 169 ms
  path.heeds_window = true;
  path.run(bbr, seconds(5));
  std::uint64_t smallest = bbr.window(), largest = smallest;
  for (int i = 0; i < 150; ++i) {
    path.run(bbr, milliseconds(100), 0, milliseconds(200));
    smallest = std::min(smallest, bbr.window());
    largest = std::max(largest, bbr.window());
  }
  CHECK(smallest == kSegment);
  CHECK(largest >= 2 * kSegment);
  CHECK(largest <= 4 * kSegment);
}

TEST_CASE("a loopback is not paced, and its queue is short") {
  BbrController bbr(kSegment, 0);
  FakePath path(1'000'000'000, microseconds(100));
  path.run(bbr, seconds(1));
  CHECK(bbr.pacing_rate() == 0);
  CHECK(bbr.window() <= 1'000'000'000 / 1000 * 11);
}

TEST_CASE("a path that has become longer is measured anew, with half of what it held under way meanwhile") {
  BbrController bbr(kSegment, 0);
  FakePath path(12'500'000, milliseconds(50));
  path.run(bbr, seconds(5));
  const std::uint64_t before = bbr.window();
  path.round_trip = milliseconds(80);
  path.heeds_window = true;
  std::uint64_t smallest = before;
  for (int i = 0; i < 15'000; ++i) {
    path.run(bbr, milliseconds(1));
    smallest = std::min(smallest, bbr.window());
  }
  CHECK(smallest <= before / 2);
  CHECK(bbr.estimate().round_trip == milliseconds(80));
  CHECK(bbr.estimate().bandwidth == Approx(12'500'000).epsilon(0.05));
}

TEST_CASE("a round trip that could not be measured again stays as it was") {
  BbrController bbr(kSegment, 0);
  FakePath path(12'500'000, milliseconds(50));
  path.run(bbr, seconds(5));
  path.round_trip = milliseconds(80);
  path.heeds_window = true;
  const std::uint64_t before = bbr.window();
  for (int i = 0; i < 15'000 && bbr.window() > before / 2; ++i) path.run(bbr, milliseconds(1));
  REQUIRE(bbr.window() <=
          before / 2);  // it measures, and from here on nothing that arrives tells a round trip
  AckedEvent batch;
  batch.packets = 1;
  batch.bytes = kSegment;
  for (int i = 0; i < 20'000; ++i) {
    batch.now = path.now += milliseconds(1);
    batch.delivered = path.delivered += kSegment;
    batch.rate =
        RateSample{12'500'000, i == 0 ? path.delivered : 0, true};  // one round ends, the next one does not
    bbr.on_acked(batch);
  }
  CHECK(bbr.estimate().round_trip == milliseconds(50));
  CHECK(bbr.window() < 12'500'000);
}

}  // namespace kcptun::bbr_controller_test
