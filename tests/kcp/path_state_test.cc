#include "core/kcp/path_state.h"

#include <catch2/catch.hpp>

namespace kcptun::path_state_test {
namespace {

constexpr std::size_t kMss = 100;
constexpr std::size_t kPacketSize = kMss + kSegmentHeader;
const TimePoint kStart{seconds(100)};

KcpTuning tuning(bool no_congestion_control, Congestion congestion) {
  KcpTuning t = kModePresets[3].tuning;
  t.no_congestion_control = no_congestion_control;
  t.congestion = congestion;
  return t;
}

struct Fixture {
  explicit Fixture(const KcpTuning& t) : sent(pool, kMss, t), path(t, kPacketSize, 1) {}
  void send(TimePoint now, std::uint32_t count) {
    std::vector<MutableBytes> pieces;
    sent.prepare(count * kMss, pieces);
    sent.commit(count * kMss);
    while (sent.poll_transmission(now, sent.end(), kMss)) {
    }
  }
  void acknowledge(TimePoint now, std::uint32_t sn, TimePoint sent_at) {
    const SendWindow::AckResult ack = sent.handle_ack(now, sn, wire_ms(sent_at));
    if (ack.rtt) path.handle_rtt_sample(now, *ack.rtt);
    path.handle_acked(ack.newly_acked);
  }
  void end_batch(TimePoint now) {
    const PathState::BatchEnd batch{now, sent.in_flight() * kPacketSize, 128 * kPacketSize};
    path.end_batch(batch, sent.end_batch(now, path.rtt()), sent);
  }

  BufferPool pool{kPacketSize};
  SendWindow sent;
  PathState path;
};

}  // namespace

TEST_CASE("without congestion control a path has no window and no pacing, and the queue has no limit") {
  Fixture f(tuning(true, Congestion::kOff));
  CHECK(f.path.has_window(std::uint64_t{1} << 40));
  CHECK(f.path.segment_window(kPacketSize) == CongestionController::kAllSegments);
  CHECK(f.path.backlog_limit(1 << 30, kPacketSize) == CongestionController::kAllSegments);
  CHECK(f.path.pacer().allows(kStart));
}

TEST_CASE("a fast retransmit and a time-out shrink the classic window, a spurious loss restores it") {
  Fixture f(tuning(false, Congestion{"kcp"}));
  f.send(kStart, 20);
  for (std::uint32_t sn = 0; sn < 12; ++sn) f.acknowledge(kStart + milliseconds(50), sn, kStart);
  f.end_batch(kStart + milliseconds(50));
  const std::uint32_t before = f.path.segment_window(kPacketSize);
  CHECK(before == 13);
  const RttEstimator& rtt = f.path.rtt();
  const TimePoint later = kStart + rtt.timeout();
  f.path.handle_timeout(f.sent.handle_timeout(later, rtt));
  CHECK(f.path.segment_window(kPacketSize) == 1);
  f.path.handle_spurious_loss();
  CHECK(f.path.segment_window(kPacketSize) == before);
}

TEST_CASE("the queue of a paced path holds what may leave now and 2 ms more, and two segments at least") {
  Fixture f(tuning(true, Congestion::kAuto));
  TimePoint now = kStart;
  for (std::uint32_t round = 0; round < 20; ++round, now += milliseconds(60)) {
    const std::uint32_t first = f.sent.end();
    f.send(now, 200);
    for (std::uint32_t sn = first; sn < first + 200; ++sn) f.acknowledge(now + milliseconds(50), sn, now);
    f.path.handle_acked(f.sent.handle_una(now + milliseconds(50), f.sent.next()));
    f.end_batch(now + milliseconds(50));
  }
  const std::uint64_t rate = f.path.pacer().rate();
  REQUIRE(rate > 300'000);
  const auto segments = [rate](Duration time) {
    return static_cast<std::uint64_t>(time.count()) * rate / 1000000 / kPacketSize;
  };
  f.path.handle_sent(now, rate / 100, 0);  // 10 ms of data
  CHECK(f.path.backlog_limit(0, kPacketSize) == segments(2 * Pacer::kTimerGranularity));
  f.path.handle_time(now + seconds(1));
  CHECK(f.path.backlog_limit(0, kPacketSize) ==
        segments(2 * Pacer::kTimerGranularity + Pacer::kBurstAllowance));
  CHECK(f.path.backlog_limit(0, static_cast<std::size_t>(rate)) == 2);
}

TEST_CASE("a modelled path paces, limits the queue and learns the loss, and a reset forgets all of it") {
  Fixture f(tuning(true, Congestion::kAuto));
  const double guess = f.path.loss();
  TimePoint now = kStart;
  for (std::uint32_t round = 0; round < 20; ++round, now += milliseconds(60)) {
    const std::uint32_t first = f.sent.end();
    f.send(now, 10);
    for (std::uint32_t sn = first + 1; sn < first + 10; ++sn) f.acknowledge(now + milliseconds(50), sn, now);
    f.end_batch(now + milliseconds(50));
    f.path.handle_timeout(f.sent.handle_timeout(now + milliseconds(59), f.path.rtt()));
    f.path.handle_acked(f.sent.handle_una(now + milliseconds(59), f.sent.next()));
    f.end_batch(now + milliseconds(59));
  }
  CHECK(f.path.loss() > 2 * guess);
  CHECK(f.path.min_rtt() == milliseconds(50));
  CHECK(f.path.estimate().bandwidth > 0);
  CHECK(f.path.backlog_limit(0, kPacketSize) < 1000);
  f.path.handle_window_limited(1000, 500);
  CHECK(f.path.window_limited(1999));
  CHECK_FALSE(f.path.window_limited(2000));

  f.path.reset();
  CHECK(f.path.loss() == guess);
  CHECK(f.path.min_rtt() == Duration(0));
  CHECK(f.path.estimate().bandwidth == 0);
  CHECK_FALSE(f.path.window_limited(0));
  CHECK(f.path.pacer().rate() == 0);
}

}  // namespace kcptun::path_state_test
