#include "core/kcp/windowed_max.h"

#include <catch2/catch.hpp>

namespace kcptun::windowed_max_test {
namespace {

const TimePoint kStart{seconds(100)};

}  // namespace

TEST_CASE("a windowed maximum forgets after so many rounds, but not before its time") {
  WindowedMax<int> max(10, milliseconds(100));
  max.update(50, 1, kStart);
  max.update(20, 5, kStart + milliseconds(40));
  CHECK(max.value() == 50);
  max.update(20, 14, kStart + milliseconds(50));  // the rounds are over, the time is not
  CHECK(max.value() == 50);
  max.update(30, 15, kStart + milliseconds(200));
  CHECK(max.value() == 30);
  max.update(60, 15, kStart + milliseconds(200));
  CHECK(max.value() == 60);
}

TEST_CASE("a windowed maximum falls step by step as the values do") {
  WindowedMax<int> max(10, milliseconds(100));
  const auto update = [&](int value, std::uint64_t round) {
    max.update(value, round, kStart + round * milliseconds(20));
  };
  update(100, 1);
  update(80, 4);
  update(60, 10);
  update(1, 11);
  CHECK(max.value() == 100);
  update(1, 12);
  CHECK(max.value() == 80);
  update(1, 15);
  CHECK(max.value() == 60);
  for (std::uint64_t round = 16; round <= 40; ++round) update(1, round);
  CHECK(max.value() == 1);
}

}  // namespace kcptun::windowed_max_test
