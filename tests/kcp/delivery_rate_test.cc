#include "core/kcp/delivery_rate.h"

#include <catch2/catch.hpp>
#include <utility>
#include <vector>

namespace kcptun::delivery_rate_test {
namespace {

const TimePoint kStart{seconds(100)};

}  // namespace

TEST_CASE("a delivery rate is no larger than the rate of sending, however bunched acknowledgements are") {
  DeliveryRate rate;
  std::vector<std::pair<SentPacketState, TimePoint>> copies;
  for (int i = 0; i < 100; ++i) {  // 1,000 bytes each millisecond: 1 MB/s
    const TimePoint now = kStart + milliseconds(i);
    copies.emplace_back(rate.handle_sent(now, i == 0 ? 0 : 1000), now);
  }
  const TimePoint now = kStart + milliseconds(200);
  for (const auto& [state, sent_at] : copies) rate.handle_acked(now, 1000, &state, sent_at);
  const std::optional<RateSample> sample = rate.take_sample(milliseconds(10));
  REQUIRE(sample);
  CHECK(sample->rate <= 1'011'000);
  CHECK_FALSE(sample->app_limited);
  CHECK_FALSE(rate.take_sample(milliseconds(10)));  // nothing new
}

TEST_CASE("a sample taken while the application was the limit says so") {
  DeliveryRate rate;
  rate.handle_app_limited(0);
  const SentPacketState state = rate.handle_sent(kStart, 0);
  rate.handle_acked(kStart + milliseconds(50), 1000, &state, kStart);
  const std::optional<RateSample> sample = rate.take_sample(milliseconds(1));
  REQUIRE(sample);
  CHECK(sample->app_limited);
  CHECK_FALSE(rate.app_limited());  // what was under way then has been acknowledged
}

}  // namespace kcptun::delivery_rate_test
