// Small messages beside bulk data, in virtual time: in one session, where StreamScheduler decides whose turn
// it is, and in two sessions on one path, as a client with conn auto opens them.
#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/sim_paths.h"

namespace kcptun::test::turns_test {
namespace {

FlowPlan bulk(std::uint64_t salt) {
  FlowPlan plan;
  plan.salt = salt;
  plan.request = std::size_t{1} << 30;
  plan.opens_at = kBegin;
  plan.takes_turns = true;
  return plan;
}

FlowPlan pings(std::size_t count) {
  FlowPlan plan = messages(64, milliseconds(20), count);
  plan.takes_turns = true;
  return plan;
}

Duration percentile(std::vector<Duration> delays, double share) {
  std::ranges::sort(delays);
  return delays.at(
      std::min(delays.size() - 1, static_cast<std::size_t>(share * static_cast<double>(delays.size()))));
}

double mbit_per_second(std::uint64_t bytes, Duration time) {
  return static_cast<double>(bytes) * 8 / static_cast<double>(time.count());
}

}  // namespace

TEST_CASE("a small message beside many bulk streams of its session waits for none of their turns") {
  constexpr std::size_t kBulkStreams = 32;
  std::vector<FlowPlan> plans{pings(900)};
  for (std::size_t i = 0; i < kBulkStreams; ++i) plans.push_back(bulk(i + 2));
  SimPair pair(settings_on({50, 20, 0}, 2048), plans, 1);
  pair.run(kBegin + seconds(20), [] { return false; });
  CHECK(pair.failure() == "");
  const std::vector<Duration>& delays = pair.server().flows.message_delays();
  REQUIRE(delays.size() > 850);
  CAPTURE(percentile(delays, 0.5).count(), percentile(delays, 0.95).count(),
          percentile(delays, 0.99).count());
  // One turn of each bulk stream takes 210 ms.
  CHECK(percentile(delays, 0.5) <= milliseconds(25 + 10));
  CHECK(percentile(delays, 0.95) <= milliseconds(25 + 40));
  std::size_t least = kNever, most = 0;
  for (std::size_t i = 1; i <= kBulkStreams; ++i) {
    least = std::min(least, pair.server().flows.received_on(i));
    most = std::max(most, pair.server().flows.received_on(i));
  }
  CAPTURE(least, most);
  CHECK(most - least <= 64 * 1024);  // what is under way of a stream, and the turns of one round
  CHECK(mbit_per_second(pair.server().flows.received(), seconds(20)) >= 17.5);
}

TEST_CASE("a small message in a session beside that of a bulk stream is delayed by its own losses only") {
  struct Row {
    double loss;
    Duration median, p99;  // above half the round trip
  };
  const auto row =
      GENERATE(Row{0, milliseconds(8), milliseconds(25)}, Row{0.02, milliseconds(8), milliseconds(30)});
  const SimSettings s = settings_on({50, 100, row.loss}, 0);
  SimPair beside(s, {pings(900)}, 1);
  SimPair large(s, {bulk(1)}, 2);
  large.network().share_bottlenecks(beside.network());
  for (int slice = 0; slice < 20 * 5000; ++slice) {
    const TimePoint until = kBegin + microseconds(200) * slice;
    beside.run(until, [] { return false; });
    large.run(until, [] { return false; });
  }
  CHECK(beside.failure() == "");
  CHECK(large.failure() == "");
  const std::vector<Duration>& delays = beside.server().flows.message_delays();
  REQUIRE(delays.size() == 900);
  CAPTURE(row.loss, percentile(delays, 0.5).count(), percentile(delays, 0.99).count());
  CHECK(percentile(delays, 0.5) <= milliseconds(25) + row.median);
  CHECK(percentile(delays, 0.99) <= milliseconds(25) + row.p99);
  CHECK(mbit_per_second(large.server().flows.received(), seconds(20)) >= 84);
}

}  // namespace kcptun::test::turns_test
