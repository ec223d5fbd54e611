// A sender's estimates of its path, in virtual time: loss and RTT, also with few samples.
#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/sim_paths.h"

namespace kcptun::test::estimates_test {
namespace {

/// Over 100 Mbit/s, with windows and buffers that do not change.
SimSettings fixed_settings_on(int rtt_ms, double loss) {
  SimSettings s = settings_on({rtt_ms, 100, loss}, 2048);
  s.client.smux.buffers_follow_window = s.server.smux.buffers_follow_window = false;
  return s;
}

bool deliver(SimPair& pair, std::size_t bytes, Duration within) {
  return pair.run(kBegin + within, [&] { return pair.server().flows.received() == bytes; });
}

}  // namespace

TEST_CASE(
    "messages with gaps between them are protected: a group pays for its parity once, however long it takes "
    "to begin") {
  constexpr std::size_t kCount = 2000;
  SimPair pair(fixed_settings_on(50, 0.05), {messages(12'000, milliseconds(10), kCount)}, 1);
  REQUIRE(deliver(pair, 12'000 * kCount, seconds(40)));
  const std::uint64_t parity = pair.client_link().parity_sent();
  const std::uint64_t again = pair.client_link().kcp().counters().retransmitted;
  std::vector<Duration> delays = pair.server().flows.message_delays();
  std::sort(delays.begin(), delays.end());
  const auto median = delays[kCount / 2] / milliseconds(1);
  CAPTURE(parity, again, median);
  CHECK(parity > 4000);
  CHECK(again < 200);
  CHECK(median < 35);
}

TEST_CASE("losses that only the tail-loss probe finds are losses") {
  SimPair pair(fixed_settings_on(50, 0.1), {messages(100, milliseconds(400), 1000)}, 1);
  REQUIRE(deliver(pair, 100 * 1000, seconds(600)));
  const double loss = pair.client_link().kcp().loss();
  CAPTURE(loss);
  CHECK(loss > 0.06);
  CHECK(loss < 0.25);  // including lost acknowledgements
}

TEST_CASE("with nc 0 losses are counted, whether order or time finds them") {
  SimSettings s = fixed_settings_on(50, 0.02);
  const std::uint32_t resend = GENERATE(0u, 2u);
  s.client.kcp.tuning.no_congestion_control = false;
  s.client.kcp.tuning.resend = resend;
  s.client.fec = s.server.fec = {0, 0};
  SimPair pair(s, {messages(4000, milliseconds(5), 4000)}, 1);
  pair.run(kBegin + seconds(60), [&] { return pair.server().flows.received() == 4000 * 4000; });
  const double loss = pair.client_link().kcp().loss();
  CAPTURE(resend, loss);
  CHECK(loss > 0.008);
  CHECK(loss < 0.06);
}

TEST_CASE(
    "a round trip beyond the first time-out is learnt by thin traffic, which leaves once from then on") {
  constexpr std::size_t kCount = 36;
  SimPair pair(fixed_settings_on(300, 0), {messages(100, seconds(1), kCount)}, 1);
  REQUIRE(deliver(pair, 100 * kCount, seconds(40)));
  const std::uint64_t again = pair.client_link().kcp().counters().retransmitted;
  CAPTURE(again);
  CHECK(again <= 2);
  CHECK(pair.client_link().kcp().rtt().minimum().value_or(Duration(0)) / milliseconds(1) == 300);
}

}  // namespace kcptun::test::estimates_test
