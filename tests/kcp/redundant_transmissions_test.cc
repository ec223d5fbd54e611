#include "core/kcp/redundant_transmissions.h"

#include <catch2/catch.hpp>

namespace kcptun {
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
  std::optional<std::uint32_t> choose(TimePoint now, RedundantTransmissions::Request request = {
                                                         1, seconds(1000), kLength, ~std::uint64_t{0}}) {
    const auto sn = redundant.choose(now, request, sent);
    if (sn) sent.add_redundant(now, *sn, static_cast<std::uint8_t>(sent[*sn].redundant_copies + 1));
    return sn;
  }

  Scoreboard sent{0};
  RedundantTransmissions redundant;
};

}  // namespace

TEST_CASE("no segment is chosen that is too long, is in the packet already, or is not in flight") {
  Fixture f;
  CHECK_FALSE(f.choose(kStart));
  f.send_new(kStart, 1, kLength + 1);
  f.send_new(kStart, 2);
  f.sent.mark_lost(1);
  CHECK_FALSE(f.choose(kStart, {1, seconds(1000), kLength, 3}));  // the transmit number of segment 2
  CHECK(f.choose(kStart) == 2u);
  CHECK_FALSE(f.choose(kStart));
}

TEST_CASE("only the oldest segments in flight are looked at") {
  Fixture f;
  f.send_new(kStart, RedundantTransmissions::kThinSegments, kLength + 1);
  f.send_new(kStart, 1);
  CHECK_FALSE(f.choose(kStart));
  f.sent.handle_ack(kStart, 0, wire_ms(kStart));
  CHECK(f.choose(kStart) == RedundantTransmissions::kThinSegments);
}

TEST_CASE("an overdue segment gets more redundant transmissions, up to a limit") {
  Fixture f;
  f.send_new(kStart, 1);
  TimePoint now = kStart;
  for (int copies = 0; copies < RedundantTransmissions::kMaxCopies; ++copies) {
    if (copies > 0) CHECK_FALSE(f.choose(now, {1, milliseconds(10), kLength, 9}));
    now += milliseconds(11);
    CHECK(f.choose(now, {1, milliseconds(10), kLength, 9}) == 0u);
  }
  CHECK_FALSE(f.choose(now + seconds(9), {1, milliseconds(10), kLength, 9}));
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

}  // namespace kcptun
