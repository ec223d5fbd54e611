#include "core/kcp/pacer.h"

#include <catch2/catch.hpp>

namespace kcptun::pacer_test {
namespace {

const TimePoint kStart{seconds(100)};

}  // namespace

TEST_CASE("a pacer spreads bytes over time and makes up for little") {
  Pacer pacer;
  CHECK(pacer.allows(kStart));
  pacer.charge(kStart, 1'000'000);
  CHECK(pacer.allows(kStart));  // no rate: nothing is held back
  pacer.set_rate(1'000'000);
  const auto burst = [&pacer](TimePoint now) {
    std::uint64_t bytes = 0;
    for (; pacer.allows(now); bytes += 100) pacer.charge(now, 100);
    return bytes;
  };
  const std::uint64_t first = burst(kStart);
  CHECK(first <= 3100);  // kBurstAllowance
  CHECK_FALSE(pacer.allows(kStart));
  CHECK(pacer.ready_at(kStart) >= kStart + Pacer::kTimerGranularity);
  CHECK(burst(kStart + milliseconds(10)) <= 3100);
  std::uint64_t total = 0;
  for (int ms = 11; ms <= 1010; ++ms) total += burst(kStart + milliseconds(ms));
  CHECK(total == Approx(1'000'000).epsilon(0.01));
}

}  // namespace kcptun::pacer_test
