#include "core/kcp/restart_proof.h"

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
  RestartProof proof;
  proof.handle_good_una(kStart);
  const Segment told = forgetful(KcpCommand::kWindowTell, kStart);
  CHECK_FALSE(proof.handle_forgetful(kStart + RestartProof::kReordered - microseconds(1), told));
  CHECK_FALSE(proof.poll_question(kStart + RestartProof::kReordered - microseconds(1), kTimeout));
  CHECK(proof.handle_forgetful(kStart + RestartProof::kReordered, told));
  CHECK(proof.poll_question(kStart + RestartProof::kReordered, kTimeout));
  CHECK_FALSE(proof.proved());
}

TEST_CASE("only an acknowledgement of a copy that left since the suspicion arose is a proof") {
  const TimePoint suspicion = kStart + seconds(5);
  const TimePoint later = suspicion + milliseconds(40);
  RestartProof proof;
  proof.handle_good_una(kStart);
  proof.handle_forgetful(suspicion, forgetful(KcpCommand::kWindowTell, kStart));

  for (const KcpCommand command : {KcpCommand::kPush, KcpCommand::kWindowAsk, KcpCommand::kWindowTell})
    proof.handle_forgetful(later, forgetful(command, later));
  CHECK_FALSE(proof.proved());
  proof.handle_forgetful(later, forgetful(KcpCommand::kAck, suspicion - milliseconds(1)));
  proof.handle_forgetful(later, forgetful(KcpCommand::kAck, later + milliseconds(1)));
  CHECK_FALSE(proof.proved());

  SECTION("of the same millisecond") { proof.handle_forgetful(later, forgetful(KcpCommand::kAck, suspicion)); }
  SECTION("of now") { proof.handle_forgetful(later, forgetful(KcpCommand::kAck, later)); }
  CHECK(proof.proved());
}

TEST_CASE("a good una ends the suspicion: what was asked for it proves nothing about the next") {
  RestartProof proof;
  proof.handle_good_una(kStart);
  const TimePoint first = kStart + seconds(3);
  proof.handle_forgetful(first, forgetful(KcpCommand::kWindowTell, kStart));
  proof.handle_good_una(first + milliseconds(10));
  CHECK_FALSE(proof.poll_question(first + milliseconds(10), kTimeout));
  const TimePoint second = first + seconds(3);
  CHECK(proof.handle_forgetful(second, forgetful(KcpCommand::kAck, first)));
  CHECK_FALSE(proof.proved());
}

TEST_CASE("a question is asked once each time-out, and only while forgetful segments come") {
  RestartProof proof;
  const Segment told = forgetful(KcpCommand::kWindowTell, kStart);
  proof.handle_forgetful(kStart, told);
  CHECK(proof.poll_question(kStart, kTimeout));
  CHECK_FALSE(proof.poll_question(kStart + seconds(9), kTimeout));
  proof.handle_forgetful(kStart + seconds(9), told);
  CHECK(proof.poll_question(kStart + seconds(9), kTimeout));
  proof.handle_forgetful(kStart + seconds(9), told);
  CHECK_FALSE(proof.poll_question(kStart + seconds(9) + kTimeout - microseconds(1), kTimeout));
  CHECK(proof.poll_question(kStart + seconds(9) + kTimeout, kTimeout));
}

}  // namespace kcptun
