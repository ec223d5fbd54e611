#include "core/kcp/bbr/tally.h"

#include <catch2/catch.hpp>

#include "tests/kcp/bbr/support.h"

namespace kcptun::bbr::test::tally_test {

TEST_CASE("a tally counts what comes after its beginning, and its rate is an average") {
  AckedEvent acked;
  acked.now = kStart;
  acked.packets = 10;
  acked.delivered = 10'000;
  Tally tally;
  tally.add({acked, 5, 5});
  tally.restart(acked);
  CHECK(tally.packets == 0);
  CHECK(tally.loss() == 0);
  acked.now += milliseconds(100);
  acked.packets = 30;
  acked.delivered += 30'000;
  tally.add({acked, 10, 4});
  CHECK(tally.packets == 40);
  CHECK(tally.loss() == 0.25);
  CHECK(tally.rate(acked) == 300'000);
}

TEST_CASE("losses are certain from ten events on, whatever each of them lost") {
  AckedEvent acked;
  acked.packets = 100;
  Tally few;
  few.add({acked, 90, 9});
  CHECK(few.certain_losses() <= 0);
  Tally many;
  many.add({acked, 36, 36});
  CHECK(many.certain_losses() == Approx(18));
  CHECK(Tally().certain_losses() == 0);
}

}  // namespace kcptun::bbr::test::tally_test
