// Paths whose rate changes or is policed: the sender adapts to them.
#include <catch2/catch.hpp>

#include "tests/support/sim_bulk.h"

namespace kcptun::test::path_change_test {

TEST_CASE("a path that becomes five times as long is measured within a second or two, and filled again") {
  Bulk bulk(settings_on({20, 100}, 2048));
  CHECK(bulk.run(seconds(4)) > 88);
  bulk.network().set_delay(milliseconds(50));
  bulk.run(seconds(2));
  CHECK(bulk.run(seconds(3)) > 85);
}

TEST_CASE("windows that follow the path follow one that becomes fifteen times as long") {
  Bulk bulk(settings_on({10, 200}, 0));
  bulk.run(seconds(3));
  bulk.network().set_delay(milliseconds(75));
  bulk.run(seconds(11));
  CHECK(bulk.run(seconds(4)) > 150);
}

TEST_CASE("a path that becomes longer while the sender still looks for its bandwidth has all of it found") {
  const Duration at = GENERATE(milliseconds(60), milliseconds(90));
  CAPTURE(at / milliseconds(1));
  Bulk bulk(settings_on({20, 100}, 2048));
  bulk.run(at);
  bulk.network().set_delay(milliseconds(35));
  bulk.run(seconds(6));
  CHECK(bulk.run(seconds(3)) > 85);
}

TEST_CASE("on a long path a probe for more bandwidth ends, and leaves no standing queue") {
  Bulk bulk(settings_on({150, 100}, 4096));
  bulk.run(seconds(4));
  int queued = 0;
  for (int i = 0; i < 100; ++i) {
    CHECK(bulk.run(milliseconds(50)) > 0);
    queued += bulk.pair.client_link().kcp().rtt().smoothed().value() > milliseconds(150 + 20);
  }
  CAPTURE(queued);
  CHECK(queued < 40);
}

TEST_CASE("behind a policer the sender finds the rate at which little is dropped") {
  SimSettings s = settings_on({50, 0}, 2048);
  Bulk bulk(s);
  bulk.network().police(625'000, 30 * 1024);
  bulk.run(seconds(12));
  const SimNetwork::Counters before = bulk.network().sent_to(Role::kServer);
  const double goodput = bulk.run(seconds(15));
  const SimNetwork::Counters after = bulk.network().sent_to(Role::kServer);
  const double dropped = static_cast<double>(after.dropped - before.dropped) /
                         static_cast<double>(after.packets - before.packets);
  CAPTURE(goodput, dropped);
  CHECK(goodput > 4.3);
  CHECK(dropped < 0.1);
}

}  // namespace kcptun::test::path_change_test
