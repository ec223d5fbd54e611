// Segments of thin streams that leave again although they are not believed lost, and what the peer does with
// them.
#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "core/kcp/kcp.h"

namespace kcptun::thin_stream_test {
namespace {

constexpr std::size_t kMss = 10;
constexpr std::size_t kPacketSize = 200;
constexpr Duration kGap = milliseconds(20);
const TimePoint kStart{seconds(100)};

struct Window {
  void send(TimePoint now, std::size_t size) {
    std::vector<MutableBytes> pieces;
    window.prepare(size, pieces);
    window.commit(size);
    const auto first = window.poll_transmission(now, window.una() + 1000, kMss);
    REQUIRE(first);
    window.add_copies(now, *first);
  }
  /// The number of the segment that is copied, -1 if none is.
  int copy(TimePoint now, std::uint8_t copies = 2) {
    const auto copy = window.poll_redundant(now, {copies, kMss});
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
    "the acknowledgement of any copy shows that the first transmission was lost, that of the first one that "
    "it "
    "was not") {
  Window w;
  w.send(kStart, 4);
  REQUIRE(w.copy(kStart + kGap) == 0);
  REQUIRE(w.copy(kStart + 2 * kGap) == 0);
  SECTION("the first copy's, though there was a second one") {
    // Of copies in the middle only the time stamp is known, which is a millisecond late at most.
    const TimePoint now = kStart + 3 * kGap;
    CHECK(w.window.handle_ack(now, 0, wire_ms(kStart + kGap)).rtt == 2 * kGap + milliseconds(1));
    w.window.end_batch(now + OvertakenTransmissions::kPatience,
                       RttEstimator(milliseconds(30), milliseconds(10)));
    const SendWindow::PathOutcomes outcomes = w.window.take_outcomes();
    CHECK(outcomes.first[FirstOutcome::kUnprotectedLost] == 1);
    CHECK(outcomes.first[FirstOutcome::kUnprotectedArrived] == 0);
  }
  SECTION("the first copy's, which had only overtaken the first transmission") {
    w.window.handle_ack(kStart + 3 * kGap, 0, wire_ms(kStart + kGap));
    w.window.handle_ack(kStart + 3 * kGap, 0, wire_ms(kStart));
    const SendWindow::PathOutcomes outcomes = w.window.take_outcomes();
    CHECK(outcomes.first[FirstOutcome::kUnprotectedLost] == 0);
    CHECK(outcomes.first[FirstOutcome::kUnprotectedArrived] == 1);
  }
  SECTION("the first transmission's") {
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

TEST_CASE("a copy that arrives after its segment was found lost makes that no spurious loss") {
  Window w;
  w.send(kStart, 4);
  w.send(kStart + milliseconds(1), 4);
  REQUIRE(w.copy(kStart + milliseconds(5)) == 0);
  RttEstimator rtt(milliseconds(30), milliseconds(10));
  rtt.add_sample(kStart, milliseconds(40));
  w.window.handle_ack(kStart + milliseconds(41), 1, wire_ms(kStart + milliseconds(1)));
  w.window.end_batch(kStart + milliseconds(41), rtt);
  REQUIRE(w.window.handle_timeout(kStart + milliseconds(50), rtt).by_time == 1);
  const TimePoint again = kStart + milliseconds(51);
  REQUIRE(w.window.poll_transmission(again, w.window.una() + 1000, kMss)->kind ==
          SendWindow::Kind::kRetransmission);
  const bool first_arrived = GENERATE(false, true);
  const TimePoint arrived = first_arrived ? kStart : kStart + milliseconds(5);
  CHECK(w.window.handle_ack(kStart + milliseconds(55), 0, wire_ms(arrived)).spurious == first_arrived);
}

// --- a session, packet by packet ---

TEST_CASE(
    "the first message of a session leaves three times within 15 ms, each time in a packet of its own") {
  Side a(settings());
  a.write(50);
  std::vector<int> left;
  for (int ms = 0; ms <= 30; ++ms) {
    const TimePoint now = kStart + milliseconds(ms);
    if (const auto due = a.kcp.next_timeout(); ms > 0 && due && *due <= now) a.kcp.handle_timeout(now);
    for (const auto& packet : a.packets(now)) {
      CHECK(packet.size() == kSegmentHeader + 50);
      left.push_back(ms);
    }
  }
  CHECK(left == std::vector{0, 5, 12});
  CHECK(a.kcp.copies_in_use());
  CHECK(a.kcp.send_window().counters().copies == 2);
  CHECK(a.kcp.counters().retransmitted == 0);
}

TEST_CASE("no copy leaves of what was acknowledged, of bulk, with thin off or with nc 0") {
  KcpSettings s = settings();
  std::size_t bytes = 50;
  bool acknowledged = false;
  SECTION("acknowledged") { acknowledged = true; }
  SECTION("bulk") { bytes = 2 * ThinMeter::kBurst; }
  SECTION("off") { s.thin = ThinMode::kOff; }
  SECTION("nc 0") {
    s.tuning.no_congestion_control = false;
    s.tuning.interval = milliseconds(10);
  }
  Side a(s), b(s);
  a.write(bytes);
  const auto data = a.packets(kStart);
  CHECK(data.size() == std::min<std::size_t>(
                           (bytes + kPacketSize - kSegmentHeader - 1) / (kPacketSize - kSegmentHeader), 32));
  if (acknowledged) {
    b.give(kStart + milliseconds(2), data);
    a.give(kStart + milliseconds(4), b.packets(kStart + milliseconds(2)));
  }
  for (int ms = 5; ms <= 15; ++ms) {
    a.kcp.handle_timeout(kStart + milliseconds(ms));
    CHECK(a.packets(kStart + milliseconds(ms)).empty());
  }
  CHECK(a.kcp.send_window().counters().copies == 0);
}

TEST_CASE("a sender that may send nothing forgets its copies and wakes up for none") {
  Side a(settings());
  a.write(50);
  REQUIRE(a.packets(kStart).size() == 1);
  const TimePoint due = kStart + milliseconds(5);
  REQUIRE(a.kcp.next_timeout() == due);
  a.kcp.handle_timeout(due);  // the rate limiter holds back: nobody polls
  REQUIRE(a.kcp.next_timeout());
  CHECK(*a.kcp.next_timeout() > due);
}

}  // namespace kcptun::thin_stream_test
