#include "core/kcp/peer_restart_detector.h"

#include <catch2/catch.hpp>

namespace kcptun::peer_restart_detector_test {
namespace {

const TimePoint kStart{seconds(100)};
constexpr Duration kTimeout = milliseconds(100);

Segment regression(KcpCommand command, TimePoint ts) {
  Segment segment;
  segment.command = command;
  segment.ts = wire_ms(ts);
  segment.sn = 3;
  return segment;
}

}  // namespace

TEST_CASE(
    "an una regression counts as reordering for 2 s after a valid una, and is challenged from then on") {
  PeerRestartDetector detector;
  detector.handle_valid_una(kStart);
  const Segment segment = regression(KcpCommand::kWindowUpdate, kStart);
  CHECK_FALSE(detector.handle_una_regression(
      kStart + PeerRestartDetector::kReorderingAllowance - microseconds(1), segment));
  CHECK_FALSE(detector.poll_challenge(kStart + PeerRestartDetector::kReorderingAllowance - microseconds(1),
                                      kTimeout));
  CHECK(detector.handle_una_regression(kStart + PeerRestartDetector::kReorderingAllowance, segment));
  CHECK(detector.poll_challenge(kStart + PeerRestartDetector::kReorderingAllowance, kTimeout));
  CHECK_FALSE(detector.proved());
}

TEST_CASE("only an acknowledgement of a transmission that left after the first una regression is a proof") {
  const TimePoint suspicion = kStart + seconds(5);
  const TimePoint later = suspicion + milliseconds(40);
  PeerRestartDetector detector;
  detector.handle_valid_una(kStart);
  detector.handle_una_regression(suspicion, regression(KcpCommand::kWindowUpdate, kStart));

  for (const KcpCommand command : {KcpCommand::kPush, KcpCommand::kWindowProbe, KcpCommand::kWindowUpdate})
    detector.handle_una_regression(later, regression(command, later));
  CHECK_FALSE(detector.proved());
  detector.handle_una_regression(later, regression(KcpCommand::kAck, suspicion - milliseconds(1)));
  detector.handle_una_regression(later, regression(KcpCommand::kAck, later + milliseconds(1)));
  CHECK_FALSE(detector.proved());

  SECTION("of the same millisecond") {
    detector.handle_una_regression(later, regression(KcpCommand::kAck, suspicion));
  }
  SECTION("of now") { detector.handle_una_regression(later, regression(KcpCommand::kAck, later)); }
  CHECK(detector.proved());
}

TEST_CASE("a valid una ends the suspicion: the answer to its challenge proves nothing about the next one") {
  PeerRestartDetector detector;
  detector.handle_valid_una(kStart);
  const TimePoint first = kStart + seconds(3);
  detector.handle_una_regression(first, regression(KcpCommand::kWindowUpdate, kStart));
  detector.handle_valid_una(first + milliseconds(10));
  CHECK_FALSE(detector.poll_challenge(first + milliseconds(10), kTimeout));
  const TimePoint second = first + seconds(3);
  CHECK(detector.handle_una_regression(second, regression(KcpCommand::kAck, first)));
  CHECK_FALSE(detector.proved());
}

TEST_CASE("a challenge leaves once each time-out at most, and only after another una regression") {
  PeerRestartDetector detector;
  const Segment segment = regression(KcpCommand::kWindowUpdate, kStart);
  detector.handle_una_regression(kStart, segment);
  CHECK(detector.poll_challenge(kStart, kTimeout));
  CHECK_FALSE(detector.poll_challenge(kStart + seconds(9), kTimeout));
  detector.handle_una_regression(kStart + seconds(9), segment);
  CHECK(detector.poll_challenge(kStart + seconds(9), kTimeout));
  detector.handle_una_regression(kStart + seconds(9), segment);
  CHECK_FALSE(detector.poll_challenge(kStart + seconds(9) + kTimeout - microseconds(1), kTimeout));
  CHECK(detector.poll_challenge(kStart + seconds(9) + kTimeout, kTimeout));
}

}  // namespace kcptun::peer_restart_detector_test
