// Two ends over bad networks, with a thousand seeds: every byte arrives, in order, with any settings.
// KCPTUN_SEED=n runs that seed alone; KCPTUN_SEEDS=n runs the seeds from 1 to n.
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "tests/sim/random_settings.h"

// A sanitizer's report ends the process before Catch can name the seed.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*)());

namespace kcptun::test::seeds_test {
namespace {

constexpr std::uint64_t kSeeds = 2000;
constexpr Duration kLongest = seconds(1800);  // virtual
std::uint64_t current_seed = 0;

void name_seed() {
  std::fprintf(stderr, "replay with KCPTUN_SEED=%llu\n", static_cast<unsigned long long>(current_seed));
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Empty on success.
std::string run_seed(std::uint64_t seed) {
  const RandomCase random_case(seed);
  SimPair pair(random_case.settings, random_case.plans, seed);
  std::string failure;
  if (!pair.run(TimePoint(kLongest), [&] { return pair.settled(); }))
    failure = pair.failure().empty() ? "it never ended" : pair.failure();
  // Packets in flight still arrive. Afterwards no buffer may be in use.
  const auto segments = [&] {
    return pair.client().context.segments.in_use() + pair.server().context.segments.in_use();
  };
  if (failure.empty() && !pair.run(pair.now() + seconds(60), [&] { return segments() == 0; }))
    failure = pair.failure().empty() ? "segments are held for nobody" : pair.failure();
  if (failure.empty() && pair.client().context.blocks.in_use() + pair.server().context.blocks.in_use() > 2)
    failure = "blocks are held for nobody";
  if (failure.empty()) return {};
  const std::string at = std::to_string(static_cast<double>(pair.now().time_since_epoch().count()) / 1e6);
  return failure + " at " + at + " s\n" + random_case.text() + "\n" + pair.progress();
}

void run_seeds(std::uint64_t first, std::uint64_t count) {
  if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(name_seed);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    current_seed = seed;
    INFO("replay with KCPTUN_SEED=" << seed);
    CHECK(run_seed(seed) == "");
  }
}

}  // namespace

TEST_CASE("every byte arrives whatever the network and the settings") {
  if (const std::uint64_t only = from_environment("KCPTUN_SEED", 0)) return run_seeds(only, 1);
  run_seeds(from_environment("KCPTUN_FIRST_SEED", 1), from_environment("KCPTUN_SEEDS", kSeeds));
}

TEST_CASE("the same seed gives the same datagrams at the same times") {
  for (const std::uint64_t seed : {7u, 8u, 9u, 10u, 11u, 12u}) {
    std::uint64_t digests[2];
    for (std::uint64_t& digest : digests) {
      const RandomCase random_case(seed);
      SimPair pair(random_case.settings, random_case.plans, seed);
      pair.run(TimePoint(seconds(60)), [&] { return pair.settled(); });
      digest = pair.network().digest();
    }
    CHECK(digests[0] == digests[1]);
  }
}

// Hidden: for changes that must not change any datagram. Run it before and after, and compare the output:
//   build/release/bin/sim_tests "[digests]"
TEST_CASE("print the digest of each of a hundred seeds' datagrams", "[.digests]") {
  constexpr std::uint64_t kDigestSeeds = 100;
  for (std::uint64_t seed = 1; seed <= kDigestSeeds; ++seed) {
    const RandomCase random_case(seed);
    SimPair pair(random_case.settings, random_case.plans, seed);
    REQUIRE(pair.run(TimePoint(kLongest), [&] { return pair.settled(); }));
    std::printf("%llu %016llx\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(pair.network().digest()));
  }
}

}  // namespace kcptun::test::seeds_test
