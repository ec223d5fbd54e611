// Two ends under the suite noise over bad networks: whatever is lost, repeated, reordered or changed, also
// while the handshake lasts, every byte arrives.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/sim/random_settings.h"

namespace kcptun::test::noise_test {
namespace {

constexpr std::uint64_t kSeeds = 300;
constexpr Duration kLongest = seconds(1800);  // virtual
// Smaller packets have no room for a handshake beside data.
constexpr std::uint32_t kMinMtu = 256;

RandomCase noise_case(std::uint64_t seed) {
  RandomCase out(seed);
  out.settings.noise = true;
  for (LinkSettings* const end : {&out.settings.client, &out.settings.server})
    end->kcp.mtu = std::max(end->kcp.mtu, kMinMtu);
  return out;
}

}  // namespace

TEST_CASE("noise: every byte arrives whatever the network and the settings") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const RandomCase random_case = noise_case(seed);
    SimPair pair(random_case.settings, random_case.plans, seed);
    const bool settled = pair.run(TimePoint(kLongest), [&] { return pair.settled(); });
    INFO("seed " << seed << "\n" << random_case.text() << "\n" << pair.progress());
    CHECK(pair.failure() == "");
    REQUIRE(settled);
    CHECK(pair.client_link().noise()->established());
    CHECK(pair.demux().counters().opened == 1);
  }
}

TEST_CASE("noise: sessions that last for hours change their keys under traffic") {
  RandomCase random_case = noise_case(3);
  random_case.settings.to_server.flip = random_case.settings.to_client.flip = 0;
  SimPair pair(random_case.settings, random_case.plans, 3);
  REQUIRE(pair.run(TimePoint(kLongest), [&] { return pair.settled(); }));
  // Keepalives only: a renewal every 120 s, past 256 epochs.
  CHECK_FALSE(pair.run(pair.now() + seconds(300 * 120), [&] { return false; }));
  CHECK(pair.failure() == "");
  CHECK(pair.client_link().noise()->counters().forged == 0);
}

TEST_CASE("noise: the same seed gives the same datagrams at the same times") {
  std::uint64_t digests[2];
  for (std::uint64_t& digest : digests) {
    const RandomCase random_case = noise_case(7);
    SimPair pair(random_case.settings, random_case.plans, 7);
    pair.run(TimePoint(seconds(60)), [&] { return pair.settled(); });
    digest = pair.network().digest();
  }
  CHECK(digests[0] == digests[1]);
}

}  // namespace kcptun::test::noise_test
