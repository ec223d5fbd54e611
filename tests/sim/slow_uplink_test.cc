// Small messages beside a bulk stream on slow uplinks, where a packet takes 11 to 172 ms. Each bound is
// slightly above what the simulation reaches.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "tests/support/sim_bulk.h"

namespace kcptun::test::slow_uplink_test {
namespace {

struct UplinkRow {
  const char* name;
  int rtt_ms;
  double kbit;
  std::uint64_t queue;   // bytes
  std::uint64_t bucket;  // bytes of a policer; 0: the rate is the path's
  double p50, p90;       // ms of an echo, at most
  double goodput;        // share of the rate, at least
};

constexpr UplinkRow kRows[] = {
    {"64 kbit/s, RTT 100, queue 8 KB", 100, 64, 8'000, 0, 1700, 2200, 0.89},
    {"128 kbit/s, RTT 100, queue 64 KB", 100, 128, 64'000, 0, 950, 1150, 0.92},
    {"1 Mbit/s, RTT 100, queue 64 KB", 100, 1000, 64'000, 0, 205, 230, 0.91},
    {"policer of 10 Mbit/s, 32 KB, RTT 40", 40, 10'000, 0, 32'000, 55, 105, 0.92},
};
constexpr int kSeconds = 60;

struct UplinkFacts {
  double p50 = 0, p90 = 0;  // ms of an echo
  double goodput = 0;       // share of the rate
};

/// The way back has no queue, so an echo takes as long as the message and half a round trip.
double echo_ms(std::vector<Duration> delays, double share, int rtt_ms) {
  std::sort(delays.begin(), delays.end());
  const Duration up = delays.at(static_cast<std::size_t>(share * static_cast<double>(delays.size() - 1)));
  return static_cast<double>(up / microseconds(1)) / 1000 + rtt_ms / 2.0;
}

UplinkFacts measure(const UplinkRow& row) {
  SimSettings s = settings_on({row.rtt_ms, row.bucket > 0 ? 100 : row.kbit / 1000, 0}, 1024);
  if (row.bucket == 0) s.to_server.queue = row.queue;
  s.to_client.rate = 0;
  FlowPlan echo = messages(64, milliseconds(250), kSeconds * 4 - 8);
  echo.opens_at = kBegin + seconds(2);
  FlowPlan bulk = endless_bulk(7);
  bulk.takes_turns = true;
  SimPair pair(s, {bulk, echo}, 1);
  if (row.bucket > 0) pair.network().police(static_cast<std::uint64_t>(row.kbit * 125), row.bucket);
  pair.run(kBegin + seconds(kSeconds), [] { return false; });
  CHECK(pair.failure() == "");
  const SimFlows& flows = pair.server().flows;
  REQUIRE(flows.message_delays().size() > kSeconds);
  return {echo_ms(flows.message_delays(), 0.5, row.rtt_ms), echo_ms(flows.message_delays(), 0.9, row.rtt_ms),
          static_cast<double>(flows.received()) * 8 / 1000 / kSeconds / row.kbit};
}

}  // namespace

TEST_CASE("an echo beside bulk on a slow uplink waits for a few packets") {
  for (const UplinkRow& row : kRows) {
    const UplinkFacts facts = measure(row);
    CAPTURE(row.name, facts.p50, facts.p90, facts.goodput);
    CHECK(facts.p50 <= row.p50);
    CHECK(facts.p90 <= row.p90);
    CHECK(facts.goodput >= row.goodput);
  }
}

TEST_CASE("print what an echo beside bulk takes on slow uplinks", "[.table]") {
  for (const UplinkRow& row : kRows) {
    const UplinkFacts facts = measure(row);
    std::printf("%-44s echo p50 %7.1f ms  p90 %7.1f ms  goodput %.3f of the rate\n", row.name, facts.p50,
                facts.p90, facts.goodput);
  }
}

}  // namespace kcptun::test::slow_uplink_test
