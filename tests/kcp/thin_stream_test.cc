// Small segments that leave again though nobody believes them lost, and what the receiver makes of them.
#include <catch2/catch.hpp>
#include <vector>

#include "core/kcp/kcp.h"

namespace kcptun {
namespace {

constexpr std::size_t kMss = 10;
constexpr std::size_t kPacketSize = 200;
constexpr Duration kGap = milliseconds(20);
constexpr Duration kNeverOverdue = seconds(1000);
const TimePoint kStart{seconds(100)};

struct Window {
  void send(TimePoint now, std::size_t size) {
    std::vector<MutableBytes> pieces;
    window.prepare(size, pieces);
    window.commit(size);
    REQUIRE(window.poll_transmission(now, window.una() + 1000, kMss));
  }
  /// The number of the segment that is repeated, -1 if none is.
  int repeat(TimePoint now, std::uint8_t times = 1, Duration overdue = kNeverOverdue) {
    const auto copy = window.poll_redundant(now, {times, overdue, kMss, window.next_transmit_number()});
    if (!copy) return -1;
    CHECK(copy->kind == SendWindow::Kind::kRedundant);
    return static_cast<int>(copy->sn);
  }

  BufferPool pool{64};
  SendWindow window{pool, kMss, KcpTuning{}};
};

/// A conversation, and what it says.
struct Side {
  explicit Side(const KcpSettings& settings) : kcp(1, settings, kPacketSize, pool) {}
  void write(std::size_t size) {
    std::vector<MutableBytes> pieces;
    kcp.prepare(size, pieces);
    kcp.commit(size);
  }
  /// All packets due at `now`.
  std::vector<std::vector<std::uint8_t>> packets(TimePoint now) {
    std::vector<std::vector<std::uint8_t>> out;
    std::uint8_t buffer[kPacketSize];
    while (const std::size_t size = kcp.poll_packet(now, buffer)) out.emplace_back(buffer, buffer + size);
    return out;
  }
  void give(TimePoint now, const std::vector<std::vector<std::uint8_t>>& packets) {
    for (const auto& packet : packets) kcp.handle_packet(now, packet, Kcp::Origin::kArrived);
    kcp.end_batch(now);
  }

  BufferPool pool{kPacketSize};
  Kcp kcp;
};

KcpSettings settings() {
  KcpSettings s;
  s.tuning = kModePresets[3].tuning;
  return s;
}

}  // namespace

TEST_CASE(
    "a small segment is repeated once, or twice in packets of different moments, the least repeated one "
    "first") {
  Window w;
  w.send(kStart, 4);
  w.send(kStart + kGap, 4);
  const TimePoint later = kStart + 2 * kGap;
  SECTION("once") {
    CHECK(w.repeat(later) == 0);
    CHECK(w.repeat(later) == 1);
    CHECK(w.repeat(later) == -1);
    CHECK(w.repeat(later + kGap) == -1);
    CHECK(w.repeat(later + kGap, 1, milliseconds(1)) == 0);  // overdue
  }
  SECTION("twice") {
    CHECK(w.repeat(later, 2) == 0);
    w.send(later, 4);
    CHECK(w.repeat(later, 2) == 1);
    CHECK(w.repeat(later, 2) == 2);
    CHECK(w.repeat(later, 2) == -1);
    w.send(later + kGap, 4);
    CHECK(w.repeat(later + kGap, 2) == 3);
    CHECK(w.repeat(later + kGap, 2) == 0);
  }
  CHECK(w.window.counters().lost_by_time == 0);
}

TEST_CASE(
    "the acknowledgement of any repeat tells that the first copy was lost, that of the first one that it was "
    "not") {
  Window w;
  w.send(kStart, 4);
  REQUIRE(w.repeat(kStart + kGap, 2) == 0);
  REQUIRE(w.repeat(kStart + 2 * kGap, 2) == 0);
  SECTION("the first repeat's, though there was a second one") {
    // Of copies in the middle only the time stamp is known, which is a millisecond late at most.
    CHECK(w.window.handle_ack(kStart + 3 * kGap, 0, wire_ms(kStart + kGap)).rtt ==
          2 * kGap + milliseconds(1));
    const SendWindow::PathOutcomes outcomes = w.window.take_outcomes();
    CHECK(outcomes.first[FirstOutcome::kUnprotectedLost] == 1);
    CHECK(outcomes.first[FirstOutcome::kUnprotectedArrived] == 0);
  }
  SECTION("the first copy's") {
    CHECK(w.window.handle_ack(kStart + 3 * kGap, 0, wire_ms(kStart)).rtt == 3 * kGap);
    const SendWindow::PathOutcomes outcomes = w.window.take_outcomes();
    CHECK(outcomes.first[FirstOutcome::kUnprotectedLost] == 0);
    CHECK(outcomes.first[FirstOutcome::kUnprotectedArrived] == 1);
  }
  CHECK(w.window.counters().spurious == 0);
}

TEST_CASE(
    "a copy that comes within a round trip of the first one's acknowledgement draws no answer, a later one "
    "does") {
  constexpr Duration kHalf = milliseconds(25);
  Side a(settings()), b(settings());
  TimePoint now = kStart;
  b.write(5);  // so that b knows the round trip
  a.give(now + kHalf, b.packets(now));
  b.give(now + 2 * kHalf, a.packets(now + kHalf));
  REQUIRE(b.kcp.rtt().minimum() == 2 * kHalf);

  a.write(5);
  const auto data = a.packets(now + 2 * kHalf);
  now += 3 * kHalf;
  b.give(now, data);
  CHECK(b.packets(now).size() == 1);
  now += 2 * kHalf - Duration(1);
  b.give(now, data);
  CHECK(b.packets(now).empty());
  CHECK(b.kcp.counters().repeated == 1);
  b.give(now + Duration(1), data);
  CHECK(b.packets(now + Duration(1)).size() == 1);
  CHECK(b.kcp.counters().repeated == 2);
}

TEST_CASE("a question, which is an empty copy, is always answered") {
  Side a(settings()), b(settings());
  const Duration half = milliseconds(25);
  b.write(5);
  a.give(kStart + half, b.packets(kStart));
  b.give(kStart + 2 * half, a.packets(kStart + half));
  a.write(5);
  b.give(kStart + 3 * half, a.packets(kStart + 2 * half));
  a.give(kStart + 4 * half, b.packets(kStart + 3 * half));
  std::vector<std::uint8_t> question(kSegmentHeader);
  REQUIRE(a.kcp.write_echo_request(4711, question.data()) == kSegmentHeader);
  b.give(kStart + 3 * half + milliseconds(1), {question});
  const auto answer = b.packets(kStart + 3 * half + milliseconds(1));
  REQUIRE(answer.size() == 1);
  CHECK(a.kcp.matches_challenge(answer[0], 4711));
}

}  // namespace kcptun
