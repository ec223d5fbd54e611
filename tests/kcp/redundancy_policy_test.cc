#include "core/kcp/redundancy_policy.h"

#include <catch2/catch.hpp>

namespace kcptun {
namespace {

using Scope = RedundancyPolicy::Scope;

constexpr std::size_t kPacketSize = 1000;
constexpr std::size_t kSegmentSize = kPacketSize - kSegmentHeader;
constexpr PathEstimate kEstimate{.bandwidth = 1'000'000, .round_trip = milliseconds(50)};
constexpr Duration kRtt = milliseconds(50);
const TimePoint kStart{seconds(100)};

constexpr RedundancyPolicy::Path kBusy{1'000'000, 0.05, false, kPacketSize};

}  // namespace

TEST_CASE("parity is charged to the idle capacity, which a path without an estimate has all or none of") {
  RedundancyPolicy policy(Scope::kParityOnly);
  CHECK(policy.idle_packets(kBusy) == 0);
  policy.begin_idle(kStart);
  policy.end_idle(kStart + milliseconds(10), kEstimate);
  CHECK(policy.idle_packets(kBusy) == 10);
  policy.charge_parity(3 * kPacketSize);
  CHECK(policy.idle_packets(kBusy) == 7);
  policy.charge_parity(100 * kPacketSize);
  CHECK(policy.idle_packets(kBusy) == 0);
  CHECK(policy.idle_packets({0, 0.05, true, kPacketSize}) == kMaxShards);
  CHECK(policy.idle_packets({0, 0.05, false, kPacketSize}) == 0);
}

TEST_CASE("retransmissions are duplicated from a loss of 1 % on, where the path has idle capacity") {
  RedundancyPolicy policy(Scope::kAll);
  CHECK_FALSE(policy.duplicates_retransmissions(kBusy));
  CHECK(policy.duplicates_retransmissions({1'000'000, RedundancyPolicy::kDuplicateLoss, true, kPacketSize}));
  CHECK_FALSE(policy.duplicates_retransmissions({1'000'000, 0.0099, true, kPacketSize}));
  policy.begin_idle(kStart);
  policy.end_idle(kStart + milliseconds(10), kEstimate);
  CHECK(policy.duplicates_retransmissions(kBusy));
  policy.reset_path();
  CHECK_FALSE(policy.duplicates_retransmissions(kBusy));
  CHECK_FALSE(
      RedundancyPolicy(Scope::kParityOnly).duplicates_retransmissions({1'000'000, 0.05, true, kPacketSize}));
}

TEST_CASE(
    "redundant transmissions have a credit of one byte for each byte that leaves, a packet's worth at most") {
  RedundancyPolicy policy(Scope::kAll);
  CHECK(policy.redundant_room(0.05, kRtt, kSegmentSize) == 0);
  policy.earn_credit(44, kPacketSize);
  CHECK(policy.credit() == 44 + RedundancyPolicy::kDatagramHeaders);
  CHECK(policy.redundant_room(0.05, kRtt, kSegmentSize) == 100 - kSegmentHeader);
  policy.charge_redundant(70);
  CHECK(policy.redundant_room(0.05, kRtt, kSegmentSize) == 0);
  for (int i = 0; i < 50; ++i) policy.earn_credit(kPacketSize, kPacketSize);
  CHECK(policy.credit() == kPacketSize);
  CHECK(policy.redundant_room(0.05, kRtt, kSegmentSize) == kSegmentSize / 4);
}

TEST_CASE("redundant transmissions need a path that loses packets and is long, and nc 1") {
  RedundancyPolicy policy(Scope::kAll), classic(Scope::kParityOnly);
  policy.earn_credit(kPacketSize, kPacketSize);
  classic.earn_credit(kPacketSize, kPacketSize);
  CHECK(policy.redundant_room(RedundancyPolicy::kRedundantLoss, RedundancyPolicy::kRedundantRtt,
                              kSegmentSize) > 0);
  CHECK(policy.redundant_room(0.0009, kRtt, kSegmentSize) == 0);
  CHECK(policy.redundant_room(0.05, RedundancyPolicy::kRedundantRtt - Duration(1), kSegmentSize) == 0);
  CHECK(classic.redundant_room(0.05, kRtt, kSegmentSize) == 0);
  CHECK(RedundancyPolicy::copies(0.029) == 1);
  CHECK(RedundancyPolicy::copies(RedundancyPolicy::kTwoCopiesLoss) == 2);
}

}  // namespace kcptun
