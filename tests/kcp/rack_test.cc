// Loss by order and time, and probes (RFC 8985), on a window whose RTT is known to be 80 ms unless a test says else.
#include <catch2/catch.hpp>
#include <vector>

#include "core/kcp/send_window.h"

namespace kcptun {
namespace {

constexpr std::size_t kMss = 10;
constexpr Duration kRtt = milliseconds(80);
const TimePoint kStart{seconds(100)};

struct Fixture {
  Fixture() : window(pool, {.segment_size = kMss, .resend = 1, .by_time = true}) {
    for (int i = 0; i < 60; ++i) rtt.add_sample(TimePoint{}, kRtt);  // its variation is gone: a time-out of 90 ms
  }
  /// Appends so many segments and sends them all at `now`.
  void send_new(TimePoint now, std::size_t count) {
    std::vector<MutableBytes> pieces;
    window.prepare(count * kMss, pieces);
    window.commit(count * kMss);
    resend(now);
  }
  /// Sends all that is due; returns the numbers.
  std::vector<std::uint32_t> resend(TimePoint now) {
    std::vector<std::uint32_t> sent;
    while (const auto copy = window.poll_transmission(now, window.una() + 1000, kMss)) sent.push_back(copy->sn);
    return sent;
  }
  SendWindow::AckResult ack(TimePoint now, std::uint32_t sn, TimePoint sent_at) {
    return window.handle_ack(now, sn, wire_ms(sent_at));
  }

  BufferPool pool{64};
  RttEstimator rtt{milliseconds(30), milliseconds(10)};
  SendWindow window;
};

using Numbers = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("a segment is lost once a later one was acknowledged and the reordering window has passed, not before") {
  Fixture f;
  REQUIRE(f.window.reordering_window(f.rtt) == milliseconds(5));
  f.send_new(kStart, 2);
  f.ack(kStart + kRtt, 1, kStart);
  CHECK(f.window.detect_lost_by_time(kStart + kRtt, f.rtt) == 0);
  const TimePoint late = kStart + kRtt + milliseconds(5);
  CHECK(f.window.next_timeout(f.rtt) == late);
  CHECK(f.window.detect_lost_by_time(late - Duration(1), f.rtt) == 0);
  CHECK(f.window.detect_lost_by_time(late, f.rtt) == 1);
  CHECK(f.window.counters().lost_by_time == 1);
  CHECK(f.resend(late) == Numbers{0});
}

TEST_CASE("what left behind the newest acknowledged copy is not judged, however old") {
  Fixture f;
  f.send_new(kStart, 3);
  f.ack(kStart + kRtt, 0, kStart);
  CHECK(f.window.detect_lost_by_time(kStart + seconds(10), f.rtt) == 0);
}

TEST_CASE("a retransmission that is lost is found by what left behind it") {
  Fixture f;
  f.send_new(kStart, 2);
  f.ack(kStart + kRtt, 1, kStart);
  const TimePoint again = kStart + milliseconds(90);
  REQUIRE(f.window.detect_lost_by_time(again, f.rtt) == 1);
  CHECK(f.resend(again) == Numbers{0});
  f.send_new(again, 1);
  f.ack(again + kRtt, 2, again);
  CHECK(f.window.detect_lost_by_time(again + milliseconds(90), f.rtt) == 1);
  CHECK(f.resend(again + milliseconds(90)) == Numbers{0});
}

TEST_CASE("a loss that was none widens the reordering window, once per round trip, up to the smoothed RTT") {
  Fixture f;
  TimePoint now = kStart;
  std::uint32_t sn = 0;
  std::vector<Duration> windows;
  for (int round = 0; round < 20; ++round, now += seconds(1), sn += 3) {
    f.send_new(now, 3);
    f.ack(now + kRtt, sn + 2, now);
    const TimePoint late = now + kRtt + f.window.reordering_window(f.rtt);
    REQUIRE(f.window.detect_lost_by_time(late, f.rtt) == 2);
    CHECK(f.resend(late) == Numbers{sn, sn + 1});
    CHECK(f.ack(late + milliseconds(1), sn, now).spurious);
    CHECK(f.ack(late + milliseconds(1), sn + 1, now).spurious);
    f.window.handle_una(late + milliseconds(1), sn + 3);
    windows.push_back(f.window.reordering_window(f.rtt));
  }
  CHECK(windows[0] == milliseconds(10));  // two in one round trip count once
  CHECK(windows[1] == milliseconds(15));
  CHECK(windows[5] == milliseconds(35));
  CHECK(windows[15] == kRtt);  // sixteen of 5 ms
  CHECK(f.window.counters().spurious == 40);
}

TEST_CASE("real losses narrow the reordering window again") {
  Fixture f;
  f.send_new(kStart, 2);
  f.ack(kStart + kRtt, 1, kStart);
  f.window.detect_lost_by_time(kStart + milliseconds(90), f.rtt);
  CHECK(f.ack(kStart + milliseconds(95), 0, kStart).spurious);  // before it was even sent again
  REQUIRE(f.window.reordering_window(f.rtt) == milliseconds(10));
  const TimePoint later = kStart + seconds(1);
  f.window.handle_una(later, 2);
  f.send_new(later, SendWindow::kCalmLosses + 1);
  f.ack(later + kRtt, 2 + SendWindow::kCalmLosses, later);
  CHECK(f.window.detect_lost_by_time(later + milliseconds(100), f.rtt) == SendWindow::kCalmLosses);
  CHECK(f.window.reordering_window(f.rtt) == milliseconds(5));
}

TEST_CASE("a silent peer is asked by the oldest segment alone, at growing intervals of at most 500 ms, for ever") {
  Fixture f;
  f.send_new(kStart, 20);
  std::vector<int> waits;
  TimePoint now = kStart;
  for (int i = 0; i < 30; ++i) {
    const TimePoint at = f.window.next_timeout(f.rtt).value();
    CHECK_FALSE(f.window.on_probe_timeout(at - Duration(1), f.rtt));
    CHECK(f.window.on_probe_timeout(at, f.rtt));
    CHECK(f.resend(at) == Numbers{0});
    waits.push_back(static_cast<int>((at - now) / milliseconds(1)));
    now = at;
  }
  waits.resize(5);
  CHECK(waits == std::vector<int>{90, 180, 360, 500, 500});
  f.ack(now + kRtt, 0, now);  // the path is back: the rest was lost
  f.window.handle_una(now + kRtt, 1);
  CHECK(f.window.detect_lost_by_time(now + kRtt, f.rtt) == 19);
}

TEST_CASE("a probe is no loss: the original's acknowledgement proves nothing about reordering") {
  Fixture f;
  f.send_new(kStart, 1);
  const TimePoint at = f.window.next_timeout(f.rtt).value();
  REQUIRE(f.window.on_probe_timeout(at, f.rtt));
  f.resend(at);
  CHECK_FALSE(f.ack(at + milliseconds(1), 0, kStart).spurious);
  CHECK(f.window.reordering_window(f.rtt) == milliseconds(5));
}

TEST_CASE("an empty window waits for nothing") {
  Fixture f;
  CHECK_FALSE(f.window.next_timeout(f.rtt));
  f.send_new(kStart, 3);
  f.window.handle_una(kStart + kRtt, 3);
  CHECK_FALSE(f.window.next_timeout(f.rtt));
  CHECK_FALSE(f.window.on_probe_timeout(kStart + seconds(100), f.rtt));
}

}  // namespace kcptun
