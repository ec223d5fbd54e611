#include "core/link/shared_rate.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace kcptun::shared_rate_test {
namespace {

constexpr std::uint64_t kRate = 1'000'000;
constexpr std::size_t kPacket = 1'000;
const TimePoint kStart{seconds(100)};

/// A session that sends packets of kPacket bytes whenever its turn allows. Its timers are late.
struct Sender {
  explicit Sender(std::shared_ptr<SharedRate> rate, Duration late = Duration::zero())
      : turn(std::move(rate)), lateness(late) {}

  void poll(TimePoint now) {
    for (; turn.allows(now); sent += kPacket) turn.charge(now, kPacket);
    next = turn.ready_at() + lateness;
  }

  RateTurn turn;
  Duration lateness;
  std::size_t sent = 0;  // bytes
  TimePoint next = kStart;
};

/// Polls each when it is due, as an engine does.
void run(std::vector<Sender>& senders, TimePoint until) {
  for (;;) {
    Sender& first = *std::ranges::min_element(senders, {}, &Sender::next);
    if (first.next >= until) return;
    first.poll(first.next);
  }
}

std::size_t total(const std::vector<Sender>& senders) {
  std::size_t sum = 0;
  for (const Sender& sender : senders) sum += sender.sent;
  return sum;
}

}  // namespace

TEST_CASE("Sessions with one rate keep to it together, and each gets its part") {
  const std::size_t count = GENERATE(1, 2, 5, 40);
  const auto rate = std::make_shared<SharedRate>(kRate);
  std::vector<Sender> senders(count, Sender(rate));
  run(senders, kStart + seconds(20));
  CHECK(total(senders) <= 20 * kRate + kRate / 100 + kPacket);  // 10 ms at once, and one packet of debt
  CHECK(total(senders) >= 20 * kRate * 99 / 100);
  const auto [least, most] = std::ranges::minmax(senders, {}, &Sender::sent);
  CHECK(least.sent * 10 >= most.sent * 8);
}

TEST_CASE("A session alone has the whole rate, also where its timers are 5 ms late") {
  const auto rate = std::make_shared<SharedRate>(kRate);
  std::vector<Sender> senders(1, Sender(rate, milliseconds(5)));
  run(senders, kStart + seconds(10));
  CHECK(senders[0].sent >= 10 * kRate * 99 / 100);
}

TEST_CASE("A session with little to send does not wait for those that have much") {
  const std::size_t count = GENERATE(1, 4);
  const auto rate = std::make_shared<SharedRate>(kRate);
  std::vector<Sender> senders(count, Sender(rate));
  RateTurn thin(rate);
  TimePoint asked{};  // when its packet became ready to leave; none is, at 0
  Duration longest{};
  for (TimePoint now = kStart; now < kStart + seconds(10); now += microseconds(50)) {
    run(senders, now);
    if (asked == TimePoint{} && (now - kStart) % milliseconds(20) == Duration::zero()) asked = now;
    if (asked == TimePoint{} || !thin.allows(now)) continue;
    thin.charge(now, 100);
    longest = std::max(longest, now - asked);
    asked = {};
  }
  CHECK(longest <= microseconds(7'500));  // three turns
}

TEST_CASE("A shared rate can change while sessions have it, and 0 is no limit") {
  const auto rate = std::make_shared<SharedRate>(kRate);
  RateTurn turn(rate);
  while (turn.allows(kStart)) turn.charge(kStart, kPacket);
  const TimePoint slow = turn.ready_at();
  CHECK(slow > kStart);
  CHECK_FALSE(turn.allows(slow - microseconds(2)));
  CHECK(turn.allows(slow));
  rate->set(0);
  for (int i = 0; i < 1'000; ++i) {
    REQUIRE(turn.allows(slow));
    turn.charge(slow, kPacket);
  }
  rate->set(kRate / 10);
  CHECK(turn.allows(slow));  // nothing was charged meanwhile
  std::size_t sent = 0;
  for (; turn.allows(slow); sent += kPacket) turn.charge(slow, kPacket);
  CHECK(sent <= kRate / 10 / 100 + 2 * kPacket);
}

TEST_CASE("A clock that stands still, or goes back, gives nothing of a shared rate") {
  const auto rate = std::make_shared<SharedRate>(kRate);
  RateTurn turn(rate);
  while (turn.allows(kStart)) turn.charge(kStart, kPacket);
  CHECK_FALSE(turn.allows(kStart));
  CHECK_FALSE(turn.allows(kStart - seconds(1)));
}

TEST_CASE("Threads that charge one rate at once lose nothing of it") {
  const auto rate = std::make_shared<SharedRate>(kRate);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&rate] {
      for (int n = 0; n < 10'000; ++n) rate->charge(kStart, 100);
    });
  for (std::thread& thread : threads) thread.join();
  // 4 MB at 1 MB/s, less what had been saved up.
  CHECK(rate->credit(kStart) == SharedRate::kMaxCredit - SharedRate::Credit(seconds(4)));
}

}  // namespace kcptun::shared_rate_test
