// RACK-TLP (RFC 8985) on a path whose RTT is known to be 80 ms unless a test says otherwise.
#include "core/kcp/rack_detector.h"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/kcp/detector_fixture.h"

namespace kcptun::rack_detector_test {
namespace {

using test::Numbers;

constexpr Duration kRtt = milliseconds(80);
const TimePoint kStart{seconds(100)};

struct Fixture : test::DetectorFixture<RackDetector> {
  Fixture() : DetectorFixture(RackDetector(), milliseconds(30)) {
    for (int i = 0; i < 60; ++i)
      rtt.add_sample(TimePoint{}, kRtt);  // its variation is gone: a time-out of 90 ms
  }
};

}  // namespace

TEST_CASE(
    "a segment is lost once a later one was acknowledged and the reordering window has passed, and not "
    "before") {
  Fixture f;
  REQUIRE(f.detector.reordering_window(f.rtt) == milliseconds(5));
  f.send_new(kStart, 2);
  f.ack(kStart + kRtt, 1, kStart);
  CHECK(f.end_batch(kStart + kRtt).by_time == 0);
  const TimePoint late = kStart + kRtt + milliseconds(5);
  CHECK(f.next_timeout() == late);
  CHECK(f.end_batch(late - Duration(1)).by_time == 0);
  CHECK(f.end_batch(late).by_time == 1);
  CHECK(f.resend(late) == Numbers{0});
}

TEST_CASE("segments that were sent after the newest acknowledged transmission are never found lost by time") {
  Fixture f;
  f.send_new(kStart, 3);
  f.ack(kStart + kRtt, 0, kStart);
  CHECK(f.end_batch(kStart + seconds(10)).by_time == 0);
}

TEST_CASE("a lost retransmission is found by the segments that were sent after it") {
  Fixture f;
  f.send_new(kStart, 2);
  f.ack(kStart + kRtt, 1, kStart);
  const TimePoint again = kStart + milliseconds(90);
  REQUIRE(f.end_batch(again).by_time == 1);
  CHECK(f.resend(again) == Numbers{0});
  f.send_new(again, 1);
  f.ack(again + kRtt, 2, again);
  CHECK(f.end_batch(again + milliseconds(90)).by_time == 1);
  CHECK(f.resend(again + milliseconds(90)) == Numbers{0});
}

TEST_CASE("a spurious loss widens the reordering window, once per round trip, up to the smoothed RTT") {
  Fixture f;
  TimePoint now = kStart;
  std::uint32_t sn = 0;
  std::vector<Duration> windows;
  for (int round = 0; round < 20; ++round, now += seconds(1), sn += 3) {
    f.send_new(now, 3);
    f.ack(now + kRtt, sn + 2, now);
    const TimePoint late = now + kRtt + f.detector.reordering_window(f.rtt);
    REQUIRE(f.end_batch(late).by_time == 2);
    CHECK(f.resend(late) == Numbers{sn, sn + 1});
    CHECK(f.ack(late + milliseconds(1), sn, now).spurious_loss);
    CHECK(f.ack(late + milliseconds(1), sn + 1, now).spurious_loss);
    f.handle_una(late + milliseconds(1), sn + 3);
    windows.push_back(f.detector.reordering_window(f.rtt));
  }
  CHECK(windows[0] == milliseconds(10));  // two in one round trip count once
  CHECK(windows[1] == milliseconds(15));
  CHECK(windows[5] == milliseconds(35));
  CHECK(windows[15] == kRtt);  // sixteen of 5 ms
}

TEST_CASE("real losses narrow the reordering window again") {
  Fixture f;
  f.send_new(kStart, 2);
  f.ack(kStart + kRtt, 1, kStart);
  f.end_batch(kStart + milliseconds(90)).by_time;
  CHECK(f.ack(kStart + milliseconds(95), 0, kStart).spurious_loss);  // before it was even sent again
  REQUIRE(f.detector.reordering_window(f.rtt) == milliseconds(10));
  const TimePoint later = kStart + seconds(1);
  f.handle_una(later, 2);
  f.send_new(later, RackDetector::kCalmLosses + 1);
  f.ack(later + kRtt, 2 + RackDetector::kCalmLosses, later);
  CHECK(f.end_batch(later + milliseconds(100)).by_time == RackDetector::kCalmLosses);
  CHECK(f.detector.reordering_window(f.rtt) == milliseconds(5));
}

TEST_CASE(
    "while nothing is acknowledged, the oldest segment alone is a probe, at growing intervals of at most 500 "
    "ms") {
  Fixture f;
  f.send_new(kStart, 20);
  std::vector<int> waits;
  TimePoint now = kStart;
  for (int i = 0; i < 30; ++i) {
    const TimePoint at = f.next_timeout().value();
    CHECK_FALSE(f.handle_timeout(at - Duration(1)).probe_due);
    CHECK(f.handle_timeout(at).probe_due);
    CHECK(f.resend(at) == Numbers{0});
    waits.push_back(static_cast<int>((at - now) / milliseconds(1)));
    now = at;
  }
  waits.resize(5);
  CHECK(waits == std::vector<int>{90, 180, 360, 500, 500});
  f.ack(now + kRtt, 0, now);  // the path is back: the rest was lost
  f.handle_una(now + kRtt, 1);
  CHECK(f.end_batch(now + kRtt).by_time == 19);
}

TEST_CASE("a probe is no loss: the acknowledgement of the original does not widen the reordering window") {
  Fixture f;
  f.send_new(kStart, 1);
  const TimePoint at = f.next_timeout().value();
  REQUIRE(f.handle_timeout(at).probe_due);
  f.resend(at);
  CHECK_FALSE(f.ack(at + milliseconds(1), 0, kStart).spurious_loss);
  CHECK(f.detector.reordering_window(f.rtt) == milliseconds(5));
}

TEST_CASE("an empty scoreboard has no timeout") {
  Fixture f;
  CHECK_FALSE(f.next_timeout());
  f.send_new(kStart, 3);
  f.handle_una(kStart + kRtt, 3);
  CHECK_FALSE(f.next_timeout());
  CHECK_FALSE(f.handle_timeout(kStart + seconds(100)).probe_due);
}

TEST_CASE("lost segments that wait to be retransmitted are the probe") {
  Fixture f;
  f.send_new(kStart, 3);
  f.sent.mark_lost(1);
  const TimePoint at = f.next_timeout().value();
  CHECK(f.handle_timeout(at).probe_due);
  CHECK(f.resend(at) == Numbers{1});
}

TEST_CASE("losses report their events and the outcome of first transmissions") {
  Fixture f;
  f.send_new(kStart, 7);
  f.ack(kStart + kRtt, 0, kStart);
  f.ack(kStart + kRtt, 3, kStart);
  f.ack(kStart + kRtt, 6, kStart);
  const Losses losses = f.end_batch(kStart + kRtt + milliseconds(5));
  CHECK(losses.by_time == 4);
  CHECK(losses.by_packet_threshold == 0);
  CHECK(losses.timed_out == 0);
  CHECK(losses.events == 2);  // 1 and 2, then 4 and 5
  CHECK(losses.first[FirstOutcome::kUnprotectedLost] == 4);
}

}  // namespace kcptun::rack_detector_test
