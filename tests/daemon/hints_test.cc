#include "daemon/hints.h"

#include <catch2/catch.hpp>

#include "daemon/net/address.h"

namespace kcptun::test {
namespace {

IpEndpoint peer(std::uint16_t port) { return *parse_ip("192.0.2.1", port); }

TEST_CASE("A hint is said once in ten minutes, each kind for itself") {
  HintLimiter limiter;
  const TimePoint start{seconds(1000)};
  CHECK(limiter.take(Hint::kMismatch, start));
  CHECK_FALSE(limiter.take(Hint::kMismatch, start + HintLimiter::kQuiet - microseconds(1)));
  CHECK(limiter.take(Hint::kNoAnswer, start));
  CHECK(limiter.take(Hint::kMismatch, start + HintLimiter::kQuiet));
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

}  // namespace
}  // namespace kcptun::test
