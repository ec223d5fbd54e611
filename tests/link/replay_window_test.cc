#include "core/link/replay_window.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "core/base/random.h"

namespace kcptun::test::replay_window_test {

TEST_CASE("the window takes each number once, in any order, and none that is too old to tell") {
  ReplayWindow window;
  std::set<std::uint64_t> seen;
  std::uint64_t newest = 0;
  Random random(5);
  for (int i = 0; i < 200000; ++i) {
    std::uint64_t number = newest + random.below(3);
    if (random.chance(0.5)) number = newest - std::min<std::uint64_t>(newest, random.below(10000));
    if (random.chance(0.0005)) number = newest + random.below(30000);
    const bool expected =
        !seen.contains(number) && (number > newest || newest - number < ReplayWindow::kSpan);
    REQUIRE(window.fresh(number) == expected);
    REQUIRE(window.newest(number) == (number > newest || seen.empty()));
    if (!expected) continue;
    window.mark(number);
    seen.insert(number);
    newest = std::max(newest, number);
  }
}

TEST_CASE("the window reaches back its span and no further, and a jump far ahead empties it") {
  ReplayWindow window;
  window.mark(ReplayWindow::kSpan);
  CHECK(window.fresh(1));
  CHECK_FALSE(window.fresh(0));
  const std::uint64_t far = (std::uint64_t{1} << 63) - 1;
  window.mark(far);
  CHECK_FALSE(window.fresh(far));
  CHECK_FALSE(window.fresh(ReplayWindow::kSpan));
  for (std::uint64_t back = 1; back < ReplayWindow::kSpan; ++back) REQUIRE(window.fresh(far - back));
  CHECK_FALSE(window.fresh(far - ReplayWindow::kSpan));
}

}  // namespace kcptun::test::replay_window_test
