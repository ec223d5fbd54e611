// Fast retransmit and retransmission time-outs, at an RTO of 200 ms unless a test says otherwise.
#include "core/kcp/classic_detector.h"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/kcp/detector_fixture.h"

namespace kcptun::classic_detector_test {
namespace {

using test::Numbers;

const TimePoint kStart{seconds(100)};

KcpTuning tuning(std::uint32_t resend, bool nodelay = false) {
  KcpTuning classic;
  classic.no_congestion_control = false;
  classic.resend = resend;
  classic.nodelay = nodelay;
  return classic;
}

struct Fixture : test::DetectorFixture<ClassicDetector> {
  explicit Fixture(const KcpTuning& classic) : DetectorFixture(ClassicDetector(classic), milliseconds(100)) {}
};

/// Times after the first transmission at which an unacknowledged segment is retransmitted.
std::vector<int> resend_times(bool nodelay, std::size_t count) {
  Fixture f(tuning(0, nodelay));
  f.send_new(kStart, 1);
  std::vector<int> times;
  while (times.size() < count) {
    const TimePoint at = f.next_timeout().value();
    CHECK(f.handle_timeout(at - Duration(1)).timed_out == 0);
    CHECK(f.handle_timeout(at).timed_out == 1);
    CHECK(f.resend(at) == Numbers{0});
    times.push_back(static_cast<int>((at - kStart) / milliseconds(1)));
  }
  return times;
}

}  // namespace

TEST_CASE("a segment is lost once `resend` later transmissions were acknowledged") {
  Fixture f(tuning(2));
  f.send_new(kStart, 4);
  f.ack(kStart, 1, kStart);
  CHECK(f.end_batch(kStart).by_packet_threshold == 0);
  f.ack(kStart, 2, kStart);
  CHECK(f.end_batch(kStart).by_packet_threshold == 1);
  CHECK(f.sent.has_lost());
  CHECK(f.sent.in_flight() == 1);
  CHECK(f.resend(kStart) == Numbers{0});
  CHECK(f.end_batch(kStart).by_packet_threshold == 0);  // its retransmission is the latest transmission
}

TEST_CASE("a retransmission can be lost by packet threshold too") {
  Fixture f(tuning(2));
  f.send_new(kStart, 3);
  f.ack(kStart, 1, kStart);
  f.ack(kStart, 2, kStart);
  CHECK(f.end_batch(kStart).by_packet_threshold == 1);
  const TimePoint later = kStart + milliseconds(20);
  CHECK(f.resend(later) == Numbers{0});
  f.send_new(later, 3);
  f.ack(later, 3, later);
  CHECK(f.end_batch(later).by_packet_threshold == 0);
  f.ack(later, 4, later);
  CHECK(f.end_batch(later).by_packet_threshold == 1);
}

TEST_CASE("with resend 0 there is no fast retransmit, and the setting may change at any time") {
  Fixture f(tuning(0));
  f.send_new(kStart, 20);
  for (std::uint32_t sn = 1; sn < 20; ++sn) f.ack(kStart, sn, kStart);
  CHECK(f.end_batch(kStart).by_packet_threshold == 0);
  f.detector.update_settings(tuning(19));
  CHECK(f.end_batch(kStart).by_packet_threshold == 1);
}

TEST_CASE(
    "an unacknowledged segment is retransmitted after 0.2, 0.6, 1.2, 2.0 s, with nodelay after 0.2, 0.5, "
    "0.9, 1.4 s") {
  CHECK(resend_times(false, 4) == std::vector<int>{200, 600, 1200, 2000});
  CHECK(resend_times(true, 4) == std::vector<int>{200, 500, 900, 1400});
}

TEST_CASE("a segment that never arrives is retransmitted for ever, at most 60 s apart") {
  Fixture f(tuning(0));
  for (int i = 0; i < 5; ++i) f.rtt.add_sample(TimePoint{}, seconds(30));
  f.send_new(kStart, 1);
  TimePoint now = kStart;
  for (int i = 0; i < 40; ++i) {
    const TimePoint next = f.next_timeout().value();
    CHECK(next - now <= ClassicDetector::kMaxTimeout);
    now = next;
    CHECK(f.handle_timeout(now).timed_out == 1);
    CHECK(f.resend(now) == Numbers{0});
  }
}

TEST_CASE("segments with different numbers of time-outs each time out at their own time") {
  Fixture f(tuning(0));
  f.send_new(kStart, 1);
  f.handle_timeout(kStart + milliseconds(200));
  f.resend(kStart + milliseconds(200));       // due again at 600
  f.send_new(kStart + milliseconds(300), 1);  // due at 500
  CHECK(f.next_timeout() == kStart + milliseconds(500));
  CHECK(f.handle_timeout(kStart + milliseconds(500)).timed_out == 1);
  CHECK(f.next_timeout() == kStart + milliseconds(600));
  CHECK(f.handle_timeout(kStart + milliseconds(600)).timed_out == 1);
  CHECK_FALSE(f.next_timeout());  // lost segments wait for a packet, not for a timer
}

TEST_CASE("the tuning chooses the detector: nc 1 has probes and no time-outs, nc 0 the reverse") {
  KcpTuning chosen = tuning(2);
  chosen.no_congestion_control = GENERATE(false, true);
  const auto detector = make_loss_detector(chosen);
  Scoreboard sent(0);
  const RttEstimator rtt(milliseconds(100), milliseconds(10));
  sent.add({kStart, 10, {}}, 10, Scoreboard::Protection::kNone);
  const TimePoint at = detector->next_timeout(rtt, sent).value();
  const Losses losses = detector->handle_timeout(at, rtt, sent);
  CHECK(losses.probe_due == chosen.no_congestion_control);
  CHECK(losses.timed_out == (chosen.no_congestion_control ? 0 : 1));
  CHECK(sent.has_lost());
}

}  // namespace kcptun::classic_detector_test
