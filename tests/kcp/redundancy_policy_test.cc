#include "core/kcp/redundancy_policy.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace kcptun::redundancy_policy_test {
namespace {

using Scope = RedundancyPolicy::Scope;

constexpr std::size_t kPacketSize = 1000;
constexpr PathEstimate kEstimate{.bandwidth = 1'000'000, .round_trip = milliseconds(50)};
const TimePoint kStart{seconds(100)};

constexpr RedundancyPolicy::Path kBusy{1'000'000, 0.05, 0.05, false, kPacketSize, milliseconds(50)};

RedundancyPolicy::Path losing(double loss) {
  RedundancyPolicy::Path path = kBusy;
  path.loss = 0;
  path.assumed_loss = loss;
  return path;
}

/// Copies per segment of a session that sends nothing else.
int copies(const RedundancyPolicy::Path& path, ThinMode mode = ThinMode::kAuto, Scope scope = Scope::kAll) {
  RedundancyPolicy policy(scope, mode);
  policy.earn(kPacketSize, kPacketSize);
  return policy.decide_copies(kStart, path);
}

}  // namespace

TEST_CASE("a session without streams has no copies: nobody waits for its keepalives") {
  RedundancyPolicy policy(Scope::kAll, ThinMode::kOn);
  policy.earn(kPacketSize, kPacketSize);
  policy.set_streams(0);
  CHECK_FALSE(policy.may_have_copies(kStart));
  CHECK(policy.decide_copies(kStart, losing(0.1)) == 0);
  policy.set_streams(1);
  CHECK(policy.may_have_copies(kStart));
  CHECK(policy.decide_copies(kStart, losing(0.1)) > 0);
  policy.set_streams(0);
  CHECK(policy.may_have_copies(kStart));  // once more, so that copies_in_use() ends
  CHECK(policy.decide_copies(kStart, losing(0.1)) == 0);
  CHECK_FALSE(policy.copies_in_use());
  CHECK_FALSE(policy.may_have_copies(kStart));
}

TEST_CASE("parity is limited to the budget, and to all or nothing on a path without an estimate") {
  RedundancyPolicy policy(Scope::kParityOnly, ThinMode::kAuto);
  CHECK(policy.parity_packets(kBusy) == 0);
  policy.begin_idle(kStart);
  policy.end_idle(kStart + milliseconds(10), kEstimate);
  CHECK(policy.parity_packets(kBusy) == 10);
  policy.charge(3 * kPacketSize);
  CHECK(policy.parity_packets(kBusy) == 7);
  policy.charge(100 * kPacketSize);
  CHECK(policy.parity_packets(kBusy) == 0);
  CHECK(policy.parity_packets({0, 0.05, 0.05, true, kPacketSize}) == kMaxShards);
  CHECK(policy.parity_packets({0, 0.05, 0.05, false, kPacketSize}) == 0);
}

TEST_CASE("retransmissions are duplicated from a loss of 1 % on, where the path or the budget has room") {
  RedundancyPolicy policy(Scope::kAll, ThinMode::kAuto);
  RedundancyPolicy::Path idle = kBusy;
  idle.has_room = true;
  CHECK_FALSE(policy.duplicates_retransmissions(kBusy));
  idle.loss = RedundancyPolicy::kDuplicateLoss;
  CHECK(policy.duplicates_retransmissions(idle));
  CHECK_FALSE(RedundancyPolicy(Scope::kParityOnly, ThinMode::kAuto).duplicates_retransmissions(idle));
  idle.loss = 0.0099;
  CHECK_FALSE(policy.duplicates_retransmissions(idle));
  policy.begin_idle(kStart);
  policy.end_idle(kStart + milliseconds(10), kEstimate);
  CHECK(policy.duplicates_retransmissions(kBusy));
  policy.charge(10 * kPacketSize - 1);  // by parity, or by other duplicates
  CHECK_FALSE(policy.duplicates_retransmissions(kBusy));
  policy.reset_path();
  CHECK(policy.budget() == 0);
}

TEST_CASE("a thin session has more copies the more its path loses, and none where it loses nothing") {
  CHECK(copies(losing(RedundancyPolicy::kThinLoss - 1e-6)) == 0);
  CHECK(copies(losing(RedundancyPolicy::kThinLoss)) == 1);
  CHECK(copies(losing(RedundancyPolicy::kTwoCopiesLoss)) == 2);
  CHECK(copies(losing(RedundancyPolicy::kThreeCopiesLoss)) == 3);
  CHECK(copies(losing(RedundancyPolicy::kFourCopiesLoss)) == 4);
  CHECK(copies(losing(0.05), ThinMode::kAuto, Scope::kParityOnly) == 0);  // nc 0
  CHECK(copies(losing(0.05), ThinMode::kOff) == 0);
  CHECK(copies(losing(0), ThinMode::kOn) == 2);
}

TEST_CASE("copies need a path of 5 ms or one that is not measured yet") {
  RedundancyPolicy::Path path = losing(0.02);
  path.min_rtt = RedundancyPolicy::kThinRtt - Duration(1);
  CHECK(copies(path) == 0);
  path.min_rtt = RedundancyPolicy::kThinRtt;
  CHECK(copies(path) == 2);
  path.min_rtt = Duration(0);
  CHECK(copies(path) == 2);
}

TEST_CASE("a queue while there are copies ends them, each time for longer") {
  RedundancyPolicy policy(Scope::kAll, GENERATE(ThinMode::kAuto, ThinMode::kOn));
  const bool always = policy.decide_copies(kStart, losing(0)) > 0;
  RedundancyPolicy::Path path = losing(0.02);
  path.min_rtt = milliseconds(20);
  path.queue = RedundancyPolicy::kMaxQueue;
  TimePoint now = kStart;
  Duration hold = RedundancyPolicy::kFirstHold;
  for (int i = 0; i < 6; ++i) {
    path.queue = RedundancyPolicy::kMaxQueue;
    CHECK(policy.decide_copies(now, path) == 2);
    path.queue += Duration(1);
    CHECK(policy.decide_copies(now, path) == (always ? 2 : 0));
    CHECK(policy.decide_copies(now + hold - Duration(1), path) == (always ? 2 : 0));
    now += hold;
    hold = std::min<Duration>(2 * hold, RedundancyPolicy::kMaxHold);
  }
  path.queue += seconds(1);
  CHECK(policy.decide_copies(now, path) == 2);  // of other traffic
  path.min_rtt = 2 * path.queue;
  CHECK(policy.decide_copies(now, path) == 2);
  policy.reset_path();
  CHECK(policy.decide_copies(now, path) == 2);
}

TEST_CASE("the first two copies come before the others, which need a budget that is not scarce") {
  RedundancyPolicy policy(Scope::kAll, ThinMode::kAuto);
  CHECK(policy.decide_copies(kStart, losing(0.1)) == RedundancyPolicy::kFirstCopies);
  policy.earn(kPacketSize, kPacketSize);
  CHECK(policy.decide_copies(kStart, losing(0.1)) == 4);
}

TEST_CASE("bulk has no copies, and no thin stream's share of the budget") {
  RedundancyPolicy policy(Scope::kAll, ThinMode::kAuto);
  policy.handle_data_sent(kStart, ThinMeter::kBurst);
  CHECK(policy.decide_copies(kStart, kBusy) > 0);
  CHECK(policy.copies_in_use());
  policy.handle_data_sent(kStart, 1);
  CHECK(policy.decide_copies(kStart, kBusy) == 0);
  CHECK_FALSE(policy.copies_in_use());
}

TEST_CASE("a thin session earns 2.25 times what leaves, and spends it on copies instead of parity") {
  RedundancyPolicy policy(Scope::kAll, ThinMode::kAuto);
  policy.decide_copies(kStart, kBusy);
  CHECK(policy.copy_room(0) == 0);
  policy.earn(44, kPacketSize);
  CHECK(policy.budget() == 225);
  CHECK(policy.copy_room(0) == 225 - kSegmentHeader);
  CHECK(policy.copy_room(56) == 225 - 56 - kSegmentHeader);
  CHECK(policy.copy_room(225 - kSegmentHeader) == 0);
  policy.begin_idle(kStart);  // its own rate says nothing about the path
  policy.end_idle(kStart + seconds(1), kEstimate);
  CHECK(policy.budget() == 225);
  policy.charge(201);
  CHECK(policy.copy_room(0) == 0);
  for (int i = 0; i < 50; ++i) policy.earn(kPacketSize, kPacketSize);
  CHECK(policy.budget() == RedundancyPolicy::kBudgetPackets * kPacketSize);
  CHECK(policy.parity_packets(kBusy) == 0);
}

}  // namespace kcptun::redundancy_policy_test
