#include "core/kcp/peer_restart_detector.h"

#include <catch2/catch.hpp>

namespace kcptun {
namespace {

const TimePoint kStart{seconds(100)};
constexpr Duration kTimeout = milliseconds(100);

Segment forgetful(KcpCommand command, TimePoint ts) {
  Segment segment;
  segment.command = command;
  segment.ts = wire_ms(ts);
  segment.sn = 3;
  return segment;
}

}  // namespace

TEST_CASE("a forgetful segment is reordered up to 2 s after a good una, and suspicious from then on") {
  PeerRestartDetector proof;
  proof.handle_valid_una(kStart);
  const Segment told = forgetful(KcpCommand::kWindowUpdate, kStart);
  CHECK_FALSE(proof.handle_una_regression(kStart + PeerRestartDetector::kReorderingAllowance - microseconds(1), told));
  CHECK_FALSE(proof.poll_challenge(kStart + PeerRestartDetector::kReorderingAllowance - microseconds(1), kTimeout));
  CHECK(proof.handle_una_regression(kStart + PeerRestartDetector::kReorderingAllowance, told));
  CHECK(proof.poll_challenge(kStart + PeerRestartDetector::kReorderingAllowance, kTimeout));
  CHECK_FALSE(proof.proved());
}

TEST_CASE("only an acknowledgement of a copy that left since the suspicion arose is a proof") {
  const TimePoint suspicion = kStart + seconds(5);
  const TimePoint later = suspicion + milliseconds(40);
  PeerRestartDetector proof;
  proof.handle_valid_una(kStart);
  proof.handle_una_regression(suspicion, forgetful(KcpCommand::kWindowUpdate, kStart));

  for (const KcpCommand command : {KcpCommand::kPush, KcpCommand::kWindowProbe, KcpCommand::kWindowUpdate})
    proof.handle_una_regression(later, forgetful(command, later));
  CHECK_FALSE(proof.proved());
  proof.handle_una_regression(later, forgetful(KcpCommand::kAck, suspicion - milliseconds(1)));
  proof.handle_una_regression(later, forgetful(KcpCommand::kAck, later + milliseconds(1)));
  CHECK_FALSE(proof.proved());

  SECTION("of the same millisecond") { proof.handle_una_regression(later, forgetful(KcpCommand::kAck, suspicion)); }
  SECTION("of now") { proof.handle_una_regression(later, forgetful(KcpCommand::kAck, later)); }
  CHECK(proof.proved());
}

TEST_CASE("a good una ends the suspicion: what was asked for it proves nothing about the next") {
  PeerRestartDetector proof;
  proof.handle_valid_una(kStart);
  const TimePoint first = kStart + seconds(3);
  proof.handle_una_regression(first, forgetful(KcpCommand::kWindowUpdate, kStart));
  proof.handle_valid_una(first + milliseconds(10));
  CHECK_FALSE(proof.poll_challenge(first + milliseconds(10), kTimeout));
  const TimePoint second = first + seconds(3);
  CHECK(proof.handle_una_regression(second, forgetful(KcpCommand::kAck, first)));
  CHECK_FALSE(proof.proved());
}

TEST_CASE("a question is asked once each time-out, and only while forgetful segments come") {
  PeerRestartDetector proof;
  const Segment told = forgetful(KcpCommand::kWindowUpdate, kStart);
  proof.handle_una_regression(kStart, told);
  CHECK(proof.poll_challenge(kStart, kTimeout));
  CHECK_FALSE(proof.poll_challenge(kStart + seconds(9), kTimeout));
  proof.handle_una_regression(kStart + seconds(9), told);
  CHECK(proof.poll_challenge(kStart + seconds(9), kTimeout));
  proof.handle_una_regression(kStart + seconds(9), told);
  CHECK_FALSE(proof.poll_challenge(kStart + seconds(9) + kTimeout - microseconds(1), kTimeout));
  CHECK(proof.poll_challenge(kStart + seconds(9) + kTimeout, kTimeout));
}

}  // namespace kcptun
