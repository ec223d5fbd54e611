// What a sender achieves on a path, in virtual time: goodput, fairness, delay beside bulk traffic
// (thin_test.cc has thin streams). The paths are those of tests/lab/rows.py. Each bound is slightly below
// what the simulation reaches.
#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/sim_paths.h"

namespace kcptun::test::goodput_test {
namespace {

FlowPlan bulk(std::uint64_t salt = 1, TimePoint at = kBegin) {
  FlowPlan plan;
  plan.salt = salt;
  plan.request = std::size_t{1} << 30;
  plan.opens_at = at;
  return plan;
}

double mbit_per_second(std::uint64_t bytes, Duration time) {
  return static_cast<double>(bytes) * 8 / static_cast<double>(time.count());
}

Duration percentile(std::vector<Duration> delays, double share) {
  std::sort(delays.begin(), delays.end());
  return delays.at(
      std::min(delays.size() - 1, static_cast<std::size_t>(share * static_cast<double>(delays.size()))));
}

double share_of(std::uint64_t part, std::uint64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

TEST_CASE("a bulk stream makes the most of paths that lose packets") {
  struct Row {
    PathPlan path;
    std::uint32_t windows;
    int seconds;
    double goodput;  // Mbit/s, including the ramp-up
  };
  const auto row = GENERATE(Row{{50, 100, 0}, 2048, 10, 90}, Row{{50, 100, 0.02}, 2048, 10, 87},
                            Row{{50, 100, 0.1}, 2048, 10, 74}, Row{{200, 100, 0.05}, 4096, 20, 62},
                            Row{{50, 100, 0, 0.01 / 8, 1.0 / 8}, 2048, 10, 87},
                            Row{{30, 300, 0.005}, 2048, 10, 250}, Row{{100, 200, 0.005}, 0, 10, 155});
  SimPair pair(settings_on(row.path, row.windows), {bulk()}, 1);
  pair.run(kBegin + seconds(row.seconds), [] { return false; });
  CHECK(pair.failure().empty());
  const Kcp& kcp = pair.client_link().kcp();
  const SimNetwork::Counters& sent = pair.network().sent_to(Role::kServer);
  const double goodput = mbit_per_second(pair.server().flows.received(), seconds(row.seconds));
  const double again = share_of(kcp.counters().retransmitted, kcp.counters().out_segments);
  CAPTURE(row.path.rtt_ms, row.path.mbit, row.path.loss, row.windows, goodput, again, kcp.loss());
  CHECK(goodput >= row.goodput);
  CHECK(again <= 1.3 * share_of(sent.dropped, sent.packets) + 0.002);  // acknowledgements are lost, too
  if (row.path.loss == 0 && row.path.burst_begin == 0) {
    CHECK(sent.dropped * 200 < sent.packets);                      // no queue is filled to overflow
    CHECK(pair.client_link().parity_sent() * 100 < sent.packets);  // no needless parity
  }
}

TEST_CASE("all parity is sent where it is fixed, at the rate that the path takes") {
  SimSettings s = settings_on({50, 100, 0.01}, 2048);
  s.client.adaptive_parity = false;
  SimPair pair(s, {bulk()}, 1);
  pair.run(kBegin + seconds(10), [] { return false; });
  const SimNetwork::Counters& sent = pair.network().sent_to(Role::kServer);
  CHECK(share_of(pair.client_link().parity_sent(), sent.packets) == Approx(3.0 / 13).epsilon(0.01));
  CHECK(mbit_per_second(pair.server().flows.received(), seconds(10)) >= 66);  // of the 72 that parity leaves
}

TEST_CASE("two conversations share a path within 40:60, the second one late") {
  const auto rtt = GENERATE(20, 50);
  CAPTURE(rtt);
  const SimSettings s = settings_on({rtt, 100, 0}, 4096);
  SimPair one(s, {bulk()}, 1);
  SimPair two(s, {bulk(1, kBegin + seconds(5))}, 2);
  two.network().share_bottlenecks(one.network());
  std::uint64_t before_one = 0, before_two = 0;
  for (int slice = 0; slice < 30 * 5000; ++slice) {
    const TimePoint until = kBegin + microseconds(200) * slice;
    // Alternates, so that neither is always first in the queue.
    SimPair* const first = slice % 2 ? &one : &two;
    SimPair* const second = slice % 2 ? &two : &one;
    first->run(until, [] { return false; });
    second->run(until, [] { return false; });
    if (slice != 10 * 5000) continue;
    before_one = one.server().flows.received();
    before_two = two.server().flows.received();
  }
  const std::uint64_t by_one = one.server().flows.received() - before_one;
  const std::uint64_t by_two = two.server().flows.received() - before_two;
  const double share = share_of(by_one, by_one + by_two);
  CHECK(share >= 0.4);
  CHECK(share <= 0.6);
  CHECK(mbit_per_second(by_one + by_two, seconds(20)) >= 85);
}

TEST_CASE("a small message beside a bulk stream waits for no queue") {
  const auto rtt = GENERATE(20, 50);
  SimPair pair(settings_on({rtt, 100, 0}, 4096), {bulk(7), messages(64, milliseconds(10), 1000)}, 1);
  pair.run(kBegin + seconds(11), [] { return false; });
  CHECK(pair.failure().empty());
  const std::vector<Duration>& delays = pair.server().flows.message_delays();
  REQUIRE(delays.size() > 900);
  CHECK(percentile(delays, 0.5) <= milliseconds(rtt) / 2 + milliseconds(8));
  CHECK(percentile(delays, 0.95) <= milliseconds(rtt) / 2 + milliseconds(40));
}

TEST_CASE("windows that follow the path grow with it, and no further than it takes") {
  SimPair slow(settings_on({50, 10, 0}, 0), {bulk()}, 1);
  slow.run(kBegin + seconds(10), [] { return false; });
  CHECK(slow.server_link().kcp().receive_window().window() == 1024);  // the BDP is 50 segments
  CHECK(slow.client_link().kcp().send_window().size() < 200);
  SimPair fast(settings_on({100, 200, 0}, 0), {bulk()}, 1);
  fast.run(kBegin + seconds(10), [] { return false; });
  const std::uint32_t window = fast.server_link().kcp().receive_window().window();
  CHECK(window >= 3 * 1900);  // the BDP is 1,900 segments
  CHECK(window <= kMaxFollowingWindow);
}

}  // namespace kcptun::test::goodput_test
