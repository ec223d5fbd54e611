#include "core/kcp/redundant_transmissions.h"

#include <catch2/catch.hpp>

namespace kcptun::redundant_transmissions_test {
namespace {

using Gap = RedundantTransmissions::Gap;

constexpr std::uint32_t kBytes = 34;
constexpr std::size_t kLength = 10;
const TimePoint kStart{seconds(100)};

struct Fixture {
  void send_new(TimePoint now, std::uint32_t count, std::size_t length = kLength) {
    for (; count > 0; --count) sent.add({now, kBytes, {}}, length, Scoreboard::Protection::kNone);
  }
  void lose_and_retransmit(TimePoint now, std::uint32_t sn) {
    sent.mark_lost(sn);
    sent.retransmit(sn, {now, kBytes, {}});
    redundant.add_duplicate(sn, sent.transmit_number());
  }
  /// A segment that is to be copied.
  void send_thin(TimePoint now, std::size_t length = kLength) {
    send_new(now, 1, length);
    redundant.add_copies(now, sent.next() - 1, sent.transmit_number());
  }
  std::optional<std::uint32_t> take(TimePoint now, std::uint8_t copies, std::size_t room = kLength) {
    return redundant.take_copy(now, {copies, room}, sent);
  }

  Scoreboard sent{0};
  RedundantTransmissions redundant;
};

}  // namespace

TEST_CASE("copies are due 5 and 12 ms behind a transmission, and further ones only ride along") {
  Fixture f;
  CHECK_FALSE(f.redundant.next_copy_at(4, f.sent));
  f.send_thin(kStart);
  CHECK(f.redundant.next_copy_at(4, f.sent) == kStart + milliseconds(5));
  CHECK_FALSE(f.take(kStart, 4));  // it is in the packet already
  CHECK(f.take(kStart + milliseconds(5), 4) == 0u);
  CHECK(f.redundant.next_copy_at(4, f.sent) == kStart + milliseconds(12));
  CHECK_FALSE(f.take(kStart + milliseconds(5), 4));
  CHECK_FALSE(f.redundant.next_copy_at(1, f.sent));  // one copy is enough by now
  CHECK_FALSE(f.take(kStart + milliseconds(12), 1));
  CHECK(f.take(kStart + milliseconds(12), 2) == 0u);
  CHECK_FALSE(f.redundant.next_copy_at(4, f.sent));
  CHECK_FALSE(f.take(kStart + milliseconds(20), 2));
  CHECK(f.take(kStart + milliseconds(20), 4) == 0u);
  CHECK(f.take(kStart + milliseconds(40), 4) == 0u);
  CHECK_FALSE(f.take(kStart + milliseconds(60), 4));
}

TEST_CASE("a packet that leaves a little early carries copies that are not due yet, in another one's place") {
  Fixture f;
  f.send_thin(kStart);
  CHECK_FALSE(f.take(kStart + RedundantTransmissions::kMinCopyGap - Duration(1), 2));
  CHECK(f.take(kStart + RedundantTransmissions::kMinCopyGap, 2) == 0u);
  CHECK(f.redundant.next_copy_at(2, f.sent) == kStart + milliseconds(12));
  CHECK(f.take(kStart + milliseconds(9), 2) == 0u);
  CHECK_FALSE(f.redundant.next_copy_at(2, f.sent));
}

TEST_CASE("what is acknowledged, sent again or too long has no copy") {
  Fixture f;
  for (int i = 0; i < 3; ++i) f.send_thin(kStart);
  f.sent.handle_ack(kStart, 0, wire_ms(kStart));
  f.sent.mark_lost(1);
  f.sent.retransmit(1, {kStart, kBytes, {}});
  const TimePoint due = kStart + milliseconds(5);
  CHECK_FALSE(f.take(due, 2, kLength - 1));
  CHECK(f.take(due, 2) == 2u);
  CHECK_FALSE(f.take(due, 2));
}

TEST_CASE("copies that could not leave in time are forgotten, and there is a limit to those that wait") {
  constexpr auto kMax = static_cast<std::uint32_t>(RedundantTransmissions::kMaxPendingCopies);
  Fixture f;
  for (std::uint32_t sn = 0; sn <= kMax; ++sn) f.send_thin(kStart);
  const TimePoint due = kStart + milliseconds(5);
  SECTION("each stage is bounded") {
    std::uint32_t taken = 0;
    while (const auto sn = f.take(due, 1)) CHECK(*sn == taken++);
    CHECK(taken == kMax);
  }
  SECTION("those that are due") {
    f.send_thin(kStart + milliseconds(1));
    f.redundant.drop_due_copies(due);
    CHECK_FALSE(f.take(due, 2));
    f.send_thin(kStart + milliseconds(1));
    f.redundant.drop_due_copies(due);
    CHECK(f.take(due + milliseconds(1), 2) == kMax + 2);
  }
  SECTION("all") {
    f.redundant.drop_copies();
    CHECK_FALSE(f.redundant.next_copy_at(2, f.sent));
  }
}

TEST_CASE(
    "a duplicate retransmission is due after the gap, at once if nothing else waits, and only while it has a "
    "purpose") {
  Fixture f;
  f.send_new(kStart, 4);
  f.lose_and_retransmit(kStart, 0);
  f.lose_and_retransmit(kStart, 1);
  f.lose_and_retransmit(kStart, 2);
  CHECK_FALSE(f.redundant.take_duplicate(Gap::kKeep, kLength, f.sent));
  f.send_new(kStart, RedundantTransmissions::kDuplicateGap - 3);
  CHECK_FALSE(f.redundant.take_duplicate(Gap::kKeep, kLength, f.sent));
  f.send_new(kStart, 1);
  CHECK_FALSE(f.redundant.take_duplicate(Gap::kKeep, kLength - 1, f.sent));
  CHECK(f.redundant.take_duplicate(Gap::kKeep, kLength, f.sent) == 0u);
  f.sent.handle_ack(kStart, 1, wire_ms(kStart));  // acknowledged in the meantime
  CHECK(f.redundant.take_duplicate(Gap::kNow, kLength, f.sent) == 2u);
  CHECK_FALSE(f.redundant.take_duplicate(Gap::kNow, kLength, f.sent));
}

TEST_CASE("pending duplicates are bounded, and one whose segment was retransmitted again is dropped") {
  constexpr auto kMax = static_cast<std::uint32_t>(RedundantTransmissions::kMaxPendingDuplicates);
  Fixture f;
  f.send_new(kStart, kMax + 1);
  for (std::uint32_t sn = 0; sn <= kMax; ++sn) f.lose_and_retransmit(kStart, sn);
  f.sent.mark_lost(0);
  f.sent.retransmit(0, {kStart, kBytes, {}});
  std::uint32_t taken = 0;
  while (const auto sn = f.redundant.take_duplicate(Gap::kNow, kLength, f.sent)) CHECK(*sn == ++taken);
  CHECK(taken == kMax - 1);
}

}  // namespace kcptun::redundant_transmissions_test
