#include "core/kcp/send_window.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace kcptun::send_window_test {
namespace {

constexpr std::size_t kMss = 10;
const TimePoint kStart{seconds(100)};

struct Fixture {
  explicit Fixture(std::uint32_t resend = 0, std::uint32_t first_sn = 0)
      : first(first_sn), window(pool, kMss, tuning(resend), first_sn) {}

  static KcpTuning tuning(std::uint32_t resend) {
    KcpTuning classic;
    classic.no_congestion_control = false;
    classic.resend = resend;
    return classic;
  }

  void append(const std::string& text, std::size_t prepared = 0) {
    std::vector<MutableBytes> pieces;
    window.prepare(std::max(prepared, text.size()), pieces);
    std::size_t at = 0;
    for (const MutableBytes piece : pieces)
      for (std::uint8_t& byte : piece)
        if (at < text.size()) byte = static_cast<std::uint8_t>(text[at++]);
    REQUIRE(at == text.size());
    window.commit(text.size());
  }
  /// One segment of full size for each number.
  void append_segments(std::uint32_t count) { append(std::string(count * kMss, 'x')); }
  std::string send(TimePoint now, std::uint32_t limit_ahead = 1000) {
    const auto copy = window.poll_transmission(now, window.una() + limit_ahead, kMss);
    return copy ? std::to_string(copy->sn - first) + ":" + std::string(copy->data.begin(), copy->data.end())
                : "-";
  }
  /// Sends all that is due; returns how many copies.
  int send_all(TimePoint now) {
    int count = 0;
    while (window.poll_transmission(now, window.una() + 1000, kMss)) ++count;
    return count;
  }
  SendWindow::AckResult ack(TimePoint now, std::uint32_t sn, TimePoint sent_at) {
    return window.handle_ack(now, sn, wire_ms(sent_at));
  }

  std::uint32_t first;
  BufferPool pool{64};
  RttEstimator rtt{milliseconds(100), milliseconds(10)};
  SendWindow window;
};

}  // namespace

TEST_CASE("no segment leaves at or beyond the limit, or if it is longer than the room") {
  Fixture f;
  f.append_segments(5);
  CHECK_FALSE(f.window.poll_transmission(kStart, 0, kMss));
  CHECK_FALSE(f.window.poll_transmission(kStart, 5, kMss - 1));
  CHECK(f.window.poll_transmission(kStart, 2, kMss)->sn == 0);
  CHECK(f.window.poll_transmission(kStart, 2, kMss)->sn == 1);
  CHECK_FALSE(f.window.poll_transmission(kStart, 2, kMss));
}

TEST_CASE("an acknowledgement frees its segment at once and una follows later") {
  Fixture f;
  f.append_segments(3);
  f.send_all(kStart);
  CHECK(f.ack(kStart + milliseconds(50), 1, kStart).rtt == milliseconds(50));
  CHECK(f.pool.in_use() == 2);
  CHECK(f.window.in_flight() == 2);
  CHECK(f.window.una() == 0);
  CHECK(f.ack(kStart, 1, kStart).newly_acked == 0);  // a second time
  CHECK(f.ack(kStart, 3, kStart).newly_acked == 0);  // never sent
  CHECK(f.window.handle_una(kStart, 3) == 2);
  CHECK(f.window.empty());
  CHECK(f.pool.in_use() == 0);
  CHECK(f.ack(kStart, 0, kStart).newly_acked == 0);  // long gone
}

TEST_CASE("una can be what was sent and nothing else") {
  Fixture f;
  f.append_segments(5);
  for (int i = 0; i < 3; ++i) f.send(kStart);
  CHECK(f.window.plausible_una(0));
  CHECK(f.window.plausible_una(3));
  CHECK_FALSE(f.window.plausible_una(4));
  f.window.handle_una(kStart, 2);
  CHECK_FALSE(f.window.plausible_una(1));
  CHECK_FALSE(f.window.plausible_una(0x80000000));
}

TEST_CASE("of the segments found lost the one that the peer's reader waits for goes first") {
  Fixture f;
  f.append_segments(3);
  f.send_all(kStart);
  f.window.handle_timeout(kStart + milliseconds(200), f.rtt);
  f.send_all(kStart + milliseconds(200));  // due again at 600
  f.append_segments(1);
  f.send_all(kStart + milliseconds(350));  // due at 550
  f.window.handle_una(kStart, 1);
  CHECK(f.window.handle_timeout(kStart + milliseconds(600), f.rtt).timed_out ==
        3);  // 3 is found before 1 and 2
  CHECK(f.send(kStart + milliseconds(600)).substr(0, 2) == "1:");
  CHECK(f.send(kStart + milliseconds(600)).substr(0, 2) == "3:");
  CHECK(f.send(kStart + milliseconds(600)).substr(0, 2) == "2:");
}

TEST_CASE(
    "an acknowledged older copy makes the retransmission spurious, and its time stamp gives the sample") {
  Fixture f;
  f.append_segments(2);
  f.send_all(kStart);
  const TimePoint later = kStart + milliseconds(200);
  f.window.handle_timeout(later, f.rtt);
  CHECK(f.send_all(later) == 2);
  const auto old_transmission = f.ack(later + milliseconds(10), 0, kStart);
  CHECK(old_transmission.newly_acked == 1);
  CHECK(old_transmission.rtt == milliseconds(210));
  CHECK(f.window.counters().spurious == 1);
  CHECK(f.ack(later + milliseconds(70), 1, later).rtt == milliseconds(70));
  CHECK(f.window.counters().spurious == 1);
}

TEST_CASE("a segment found lost and then acknowledged is not sent again") {
  Fixture f;
  f.append_segments(3);
  f.send_all(kStart);
  const TimePoint later = kStart + milliseconds(250);
  CHECK(f.window.handle_timeout(later, f.rtt).timed_out == 3);
  f.ack(later, 1, kStart);
  f.window.handle_una(kStart, 1);
  CHECK(f.send_all(later) == 1);
  CHECK(f.window.in_flight() == 1);
}

TEST_CASE("sequence numbers wrap at the sender") {
  const std::uint32_t first = 0xfffffffe;
  Fixture f(2, first);
  f.append("aaaaaaaaaabbbbbbbbbbccccccccccdddddddddde");
  CHECK(f.window.poll_transmission(kStart, first + 2, kMss));
  CHECK(f.window.poll_transmission(kStart, first + 2, kMss));
  CHECK_FALSE(f.window.poll_transmission(kStart, first + 2, kMss));
  CHECK(f.send(kStart) == "2:cccccccccc");
  CHECK(f.send(kStart) == "3:dddddddddd");
  CHECK(f.window.plausible_una(1));
  CHECK(f.window.plausible_una(2));
  CHECK_FALSE(f.window.plausible_una(3));
  CHECK(f.ack(kStart, 0, kStart).newly_acked == 1);
  CHECK(f.ack(kStart, 1, kStart).newly_acked == 1);
  CHECK(f.window.end_batch(kStart, f.rtt).by_packet_threshold == 2);
  CHECK(f.send(kStart) == "0:aaaaaaaaaa");
  CHECK(f.send(kStart) == "1:bbbbbbbbbb");
  CHECK(f.window.handle_una(kStart, 2) == 2);
  CHECK(f.send(kStart) == "4:e");
  CHECK(f.window.handle_una(kStart, 3) == 1);
  CHECK(f.pool.in_use() == 0);
}

TEST_CASE("an empty window gives its memory back, and can be used again") {
  Fixture f;
  f.append_segments(200);
  f.send_all(kStart);
  f.window.handle_una(kStart, 200);
  f.window.trim();
  f.append("more");
  CHECK(f.send(kStart) == "200:more");
}

TEST_CASE("a window that ends with segments under way gives their buffers back") {
  BufferPool pool(64);
  {
    SendWindow window(pool, kMss, Fixture::tuning(0));
    std::vector<MutableBytes> pieces;
    window.prepare(95, pieces);
    window.commit(95);
    window.poll_transmission(kStart, 3, kMss);
    window.poll_transmission(kStart, 3, kMss);
    window.handle_ack(kStart, 1, wire_ms(kStart));
    CHECK(pool.in_use() == 9);
  }
  CHECK(pool.in_use() == 0);
}

TEST_CASE("a send window counts what its parts report, and hands the outcomes over once") {
  Fixture f(1);
  f.append_segments(4);
  f.send_all(kStart);
  f.ack(kStart, 0, kStart);
  f.ack(kStart, 2, kStart);
  CHECK(f.window.end_batch(kStart, f.rtt).by_packet_threshold == 1);
  const TimePoint later = kStart + milliseconds(200);
  CHECK(f.window.handle_timeout(later, f.rtt).timed_out == 1);
  f.send_all(later);
  CHECK(f.ack(later, 1, kStart).spurious);
  CHECK(f.window.counters().lost_by_packet_threshold == 1);
  CHECK(f.window.counters().timed_out == 1);
  CHECK(f.window.counters().spurious == 1);
  const SendWindow::PathOutcomes outcomes = f.window.take_outcomes();
  CHECK(outcomes.loss_events == 2);
  CHECK(outcomes.first[FirstOutcome::kUnprotectedArrived] == 2);
  CHECK(outcomes.first[FirstOutcome::kUnprotectedLost] == 2);
  CHECK(f.window.take_outcomes().loss_events == 0);
}

}  // namespace kcptun::send_window_test
