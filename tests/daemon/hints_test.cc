#include "daemon/engine/hints.h"

#include <catch2/catch.hpp>

#include "daemon/net/address.h"
#include "tests/support/sim_pair.h"

namespace kcptun::test::hints_test {
namespace {

IpEndpoint peer(std::uint16_t port) { return *parse_ip("192.0.2.1", port); }

TEST_CASE("A hint is said once in ten minutes, each kind for itself") {
  HintLimiter limiter;
  const TimePoint start{seconds(1000)};
  CHECK(limiter.take(Hint::kMismatch, start));
  CHECK_FALSE(limiter.take(Hint::kMismatch, start + HintLimiter::kInterval - microseconds(1)));
  CHECK(limiter.take(Hint::kNoAnswer, start));
  CHECK(limiter.take(Hint::kMismatch, start + HintLimiter::kInterval));
}

TEST_CASE("An address is told of once, when its fifth packet does not open") {
  RejectedPeers peers;
  CHECK_FALSE(peers.handle_rejected(peer(1), 4));
  CHECK(peers.handle_rejected(peer(1), 1));
  CHECK_FALSE(peers.handle_rejected(peer(1), 100));
  CHECK(peers.handle_rejected(peer(2), 64));
}

TEST_CASE("A good packet clears an address") {
  RejectedPeers peers;
  CHECK_FALSE(peers.handle_rejected(peer(1), 4));
  peers.handle_good(peer(1));
  CHECK_FALSE(peers.handle_rejected(peer(1), 4));
}

TEST_CASE("However many addresses send garbage, no more than the newest are remembered") {
  RejectedPeers peers;
  CHECK_FALSE(peers.handle_rejected(peer(1), 4));
  for (std::uint16_t port = 2; port < 2 + RejectedPeers::kAddresses; ++port)
    peers.handle_rejected(peer(port), 1);
  CHECK_FALSE(peers.handle_rejected(peer(1), 4));
}

// --- full-size packets ---

SimSettings path_of(std::uint32_t mtu, double loss) {
  SimSettings s;
  s.client.kcp.tuning = kModePresets[1].tuning;
  s.client.compress = false;
  s.server = s.client;
  s.to_server.delay = s.to_client.delay = milliseconds(20);
  s.to_server.rate = s.to_client.rate = 2'000'000;
  s.to_server.queue = s.to_client.queue = 200'000;
  s.to_server.mtu = s.to_client.mtu = mtu;
  s.to_server.fragments = s.to_client.fragments = false;
  s.to_server.loss = s.to_client.loss = loss;
  return s;
}

/// Checks one end as the daemon does: when segments of the peer have arrived. Returns when the hint applied,
/// within a minute.
std::optional<Duration> found_after(const SimSettings& settings, std::size_t request, std::size_t answer,
                                    Role end) {
  FlowPlan plan;
  plan.request = request;
  plan.answer = answer;
  plan.opens_at = TimePoint(seconds(1));
  SimPair pair(settings, {plan}, 7);
  FullSizeWatch watch;
  std::uint64_t heard = 0;
  const bool found = pair.run(TimePoint(seconds(60)), [&] {
    if (pair.now() < TimePoint(seconds(2))) return false;  // the server has its session by then
    const Kcp& kcp = end == Role::kClient ? pair.client_link().kcp() : pair.server_link().kcp();
    return std::exchange(heard, kcp.counters().in_segments) != kcp.counters().in_segments &&
           watch.handle_run(pair.now(), kcp);
  });
  return found ? std::optional(pair.now().time_since_epoch()) : std::nullopt;
}

TEST_CASE(
    "packets of full size that vanish are noticed before the session is given up, up and down, small and "
    "large") {
  const std::size_t size = GENERATE(std::size_t{5000}, std::size_t{50'000'000});
  const double loss = GENERATE(0.0, 0.05);
  CAPTURE(size, loss);
  const auto up = found_after(path_of(1252, loss), size, 1, Role::kClient);
  const auto down = found_after(path_of(1252, loss), 100, size, Role::kServer);
  REQUIRE(up);
  REQUIRE(down);
  CHECK(*up < seconds(30));
  CHECK(*down < seconds(30));
}

TEST_CASE("what a path loses, delays or carries is not taken for packets of full size that vanish") {
  const double loss = GENERATE(0.0, 0.1, 0.4);
  CAPTURE(loss);
  for (const std::size_t size : {std::size_t{5000}, std::size_t{20'000'000}}) {
    CHECK_FALSE(found_after(path_of(1500, loss), size, 1, Role::kClient));
    CHECK_FALSE(found_after(path_of(1500, loss), 100, size, Role::kServer));
  }
  SimSettings one_way = path_of(1500, 0);
  one_way.to_client.loss = 1;
  CHECK_FALSE(found_after(one_way, 20'000'000, 1, Role::kClient));
}

}  // namespace
}  // namespace kcptun::test::hints_test
