#include "core/kcp/scoreboard.h"

#include <catch2/catch.hpp>
#include <deque>
#include <map>

#include "core/base/check.h"
#include "core/base/random.h"

namespace kcptun::scoreboard_test {
namespace {

const TimePoint kStart{seconds(100)};
constexpr Duration kRtt = milliseconds(50);
constexpr std::uint32_t kBytes = 34;

void send_new(Scoreboard& sent, TimePoint now, std::uint32_t count,
              Scoreboard::Protection protection = Scoreboard::Protection::kNone) {
  for (; count > 0; --count) sent.add({now, kBytes, {}}, 10, protection);
}

}  // namespace

TEST_CASE("an acknowledgement ends a segment once, in any order, and una follows later") {
  Scoreboard sent(0);
  send_new(sent, kStart, 3);
  CHECK(sent.in_flight_bytes() == 3 * kBytes);
  const Acknowledgement facts = sent.handle_ack(kStart + kRtt, 1, wire_ms(kStart));
  REQUIRE(facts.segment);
  CHECK(facts.rtt == kRtt);
  CHECK(facts.last_arrived);
  CHECK_FALSE(facts.spurious_retransmission);
  CHECK(facts.first == FirstOutcome::kUnprotectedArrived);
  CHECK(sent[1].state == SegmentState::kAcknowledged);
  CHECK(sent.in_flight() == 2);
  CHECK_FALSE(sent.handle_ack(kStart, 1, wire_ms(kStart)).segment);
  CHECK_FALSE(sent.handle_ack(kStart, 3, wire_ms(kStart)).segment);  // never sent
  CHECK(sent.pop_una().segment);
  CHECK_FALSE(sent.pop_una().segment);
  CHECK(sent.pop_una().segment);
  CHECK(sent.una() == sent.next());
  CHECK(sent.in_flight_bytes() == 0);
  CHECK_FALSE(sent.handle_ack(kStart, 0, wire_ms(kStart)).segment);  // below una
}

TEST_CASE("una is retransmitted first, then the others in the order in which they were marked lost") {
  Scoreboard sent(0);
  send_new(sent, kStart, 4);
  sent.mark_lost(3);
  sent.mark_lost(1);
  CHECK(sent.next_lost() == 3);
  sent.mark_lost(0);
  CHECK(sent.next_lost() == 0);
  CHECK(sent.in_flight() == 1);
  sent.retransmit(0, {kStart, kBytes, {}});
  CHECK(sent.next_lost() == 3);
  sent.handle_ack(kStart, 3, wire_ms(kStart));
  CHECK(sent.next_lost() == 1);
}

TEST_CASE(
    "an acknowledgement of an earlier transmission makes the retransmission spurious, and gives the sample") {
  Scoreboard sent(0);
  send_new(sent, kStart, 2);
  const TimePoint later = kStart + milliseconds(200);
  SECTION("after a loss: the loss was spurious too") {
    sent.mark_lost(0);
    sent.retransmit(0, {later, kBytes, {}});
    const Acknowledgement facts = sent.handle_ack(later + milliseconds(10), 0, wire_ms(kStart));
    CHECK(facts.rtt == milliseconds(210));
    CHECK(facts.spurious_retransmission);
    CHECK(facts.spurious_loss);
    CHECK_FALSE(facts.last_arrived);
    CHECK(facts.first == FirstOutcome::kUnknown);  // it was reported as lost
  }
  SECTION("before it was retransmitted: only the loss was spurious") {
    sent.mark_lost(0);
    const Acknowledgement facts = sent.handle_ack(later, 0, wire_ms(kStart));
    CHECK_FALSE(facts.spurious_retransmission);
    CHECK(facts.spurious_loss);
    CHECK_FALSE(sent.has_lost());
  }
  SECTION("after a probe: only the retransmission was spurious") {
    sent.queue_retransmission(0);
    sent.retransmit(0, {later, kBytes, {}});
    const Acknowledgement facts = sent.handle_ack(later + milliseconds(10), 0, wire_ms(kStart));
    CHECK(facts.spurious_retransmission);
    CHECK_FALSE(facts.spurious_loss);
    CHECK(facts.first == FirstOutcome::kUnprotectedArrived);
  }
  SECTION("of the retransmission: the first transmission is lost") {
    sent.queue_retransmission(0);
    sent.retransmit(0, {later, kBytes, {}});
    const Acknowledgement facts = sent.handle_ack(later + kRtt, 0, wire_ms(later));
    CHECK(facts.rtt == kRtt);
    CHECK_FALSE(facts.spurious_retransmission);
    CHECK(facts.last_arrived);
    CHECK(facts.first == FirstOutcome::kUnprotectedLost);
  }
  SECTION("of a time stamp that was never sent: no sample") {
    CHECK_FALSE(sent.handle_ack(later, 0, wire_ms(kStart) - 1).rtt);
    CHECK_FALSE(sent.handle_ack(later, 1, wire_ms(later) + 1).rtt);
  }
}

TEST_CASE("una does not tell which transmission of a segment arrived") {
  Scoreboard sent(0);
  send_new(sent, kStart, 2, Scoreboard::Protection::kParity);
  sent.queue_retransmission(0);
  sent.retransmit(0, {kStart + kRtt, kBytes, {}});
  const Acknowledgement retransmitted = sent.pop_una();
  CHECK_FALSE(retransmitted.last_arrived);
  CHECK(retransmitted.first == FirstOutcome::kUnknown);
  const Acknowledgement once = sent.pop_una();
  CHECK(once.last_arrived);
  CHECK(once.first == FirstOutcome::kProtectedArrived);
}

TEST_CASE("losses of consecutive transmissions are one event") {
  Scoreboard sent(0);
  send_new(sent, kStart, 6, Scoreboard::Protection::kParity);
  CHECK(sent.mark_lost(1).new_event);
  const LossFacts facts = sent.mark_lost(2);
  CHECK_FALSE(facts.new_event);
  CHECK(facts.first == FirstOutcome::kProtectedLost);
  CHECK(sent.mark_lost(4).new_event);
}

TEST_CASE("each time-out moves a segment one level up, and the last level keeps it") {
  Scoreboard sent(0);
  send_new(sent, kStart, 1);
  for (int timeouts = 1; timeouts < 12; ++timeouts) {
    sent.mark_timed_out(0);
    CHECK(sent.in_flight() == 0);
    sent.retransmit(0, {kStart + timeouts * kRtt, kBytes, {}});
    const auto level = static_cast<std::uint8_t>(std::min(timeouts, Scoreboard::kBackoffLevels - 1));
    CHECK(sent.in_flight_at(level) == 1);
    CHECK(sent.oldest_at(level) == 0);
  }
  CHECK(sent.transmit_number() == 12);
}

TEST_CASE("una must be between ours and what was sent, across the wrap of sequence numbers") {
  const std::uint32_t first = 0xfffffffe;
  Scoreboard sent(first);
  send_new(sent, kStart, 4);
  CHECK(sent.plausible_una(first));
  CHECK(sent.plausible_una(2));
  CHECK_FALSE(sent.plausible_una(3));
  CHECK_FALSE(sent.plausible_una(first - 1));
  CHECK(sent.handle_ack(kStart, 0, wire_ms(kStart)).segment);
  for (int i = 0; i < 3; ++i) sent.pop_una();
  CHECK(sent.una() == 1);
  CHECK(sent.awaits(1));
  CHECK_FALSE(sent.plausible_una(0));
}

TEST_CASE("a scoreboard agrees with a model of it through random operations") {
  Random random(7);
  Scoreboard sent(0xffffff00);
  std::map<std::uint32_t, SegmentState> model;  // those not acknowledged, by distance from the first segment
  const std::uint32_t first = sent.una();
  TimePoint now = kStart;
  for (int i = 0; i < 20000; ++i, now += milliseconds(1)) {
    const std::uint32_t sn = sent.una() + random.below(40);
    const auto found = model.find(sn - first);
    switch (random.below(5)) {
      case 0:
        if (sent.next() - sent.una() >= 300) break;
        model[sent.next() - first] = SegmentState::kInFlight;
        send_new(sent, now, 1);
        break;
      case 1:
        CHECK((sent.handle_ack(now, sn, wire_ms(now)).segment != nullptr) == (found != model.end()));
        if (found != model.end()) model.erase(found);
        break;
      case 2:
        if (found == model.end() || found->second != SegmentState::kInFlight) break;
        sent.mark_timed_out(sn);
        found->second = SegmentState::kLost;
        break;
      case 3:
        if (!sent.has_lost()) break;
        model.at(sent.next_lost() - first) = SegmentState::kInFlight;
        sent.retransmit(sent.next_lost(), {now, kBytes, {}});
        break;
      case 4:
        if (sent.una() == sent.next()) break;
        model.erase(sent.una() - first);
        sent.pop_una();
        break;
    }
    std::uint32_t in_flight = 0;
    for (const auto& [distance, state] : model) {
      REQUIRE(sent[first + distance].state == state);
      in_flight += state == SegmentState::kInFlight;
    }
    REQUIRE(sent.in_flight() == in_flight);
    REQUIRE(sent.in_flight_bytes() == std::uint64_t{in_flight} * kBytes);
    REQUIRE(sent.has_lost() == (model.size() > in_flight));
  }
}

}  // namespace kcptun::scoreboard_test
