// When a silent peer is pinged, and when it is suspected to be dead.
#include "core/link/liveness_monitor.h"

#include <catch2/catch.hpp>

namespace kcptun::test::liveness_monitor_test {
namespace {
const TimePoint kStart{seconds(100)};
constexpr Duration kShort = milliseconds(1);
}  // namespace

TEST_CASE("a peer that owes nothing is neither pinged nor suspected") {
  LivenessMonitor watch(kStart);
  watch.handle_arrival(kStart);
  CHECK_FALSE(watch.poll_ping(kStart + seconds(100), false));
  CHECK_FALSE(watch.suspected_dead(kStart + seconds(100), Duration(0)));
  CHECK_FALSE(watch.next_timeout());
}

TEST_CASE("an unanswered peer is pinged twice a second and suspected after 3 s") {
  LivenessMonitor watch(kStart);
  watch.handle_state(kStart, true);
  CHECK(watch.next_timeout() == kStart + milliseconds(500));
  CHECK_FALSE(watch.poll_ping(kStart + milliseconds(500) - kShort, false));
  CHECK(watch.poll_ping(kStart + milliseconds(500), false));
  watch.handle_state(kStart + milliseconds(500), true);  // still owed
  CHECK_FALSE(watch.poll_ping(kStart + milliseconds(1000) - kShort, true));
  CHECK(watch.poll_ping(kStart + milliseconds(1000), true));
  CHECK_FALSE(watch.suspected_dead(kStart + seconds(3) - kShort, milliseconds(50)));
  CHECK(watch.suspected_dead(kStart + seconds(3), milliseconds(50)));
  watch.handle_arrival(kStart + seconds(4));
  CHECK_FALSE(watch.suspected_dead(kStart + seconds(4), milliseconds(50)));
  CHECK(watch.suspected_dead(kStart + seconds(7), milliseconds(50)));
  watch.handle_state(kStart + seconds(7), false);
  CHECK_FALSE(watch.suspected_dead(kStart + seconds(7), milliseconds(50)));
}

TEST_CASE("on a long path the round trip and 2 s may pass before a peer is suspected") {
  LivenessMonitor watch(kStart);
  watch.handle_state(kStart, true);
  CHECK_FALSE(watch.suspected_dead(kStart + milliseconds(4500) - kShort, milliseconds(2500)));
  CHECK(watch.suspected_dead(kStart + milliseconds(4500), milliseconds(2500)));
}

TEST_CASE("after 3 s of silence a ping goes with the first packet, if the peer was ever heard") {
  const bool heard = GENERATE(false, true);
  LivenessMonitor watch(kStart);
  if (heard) watch.handle_arrival(kStart);
  CHECK_FALSE(watch.poll_ping(kStart + seconds(3) - kShort, true));
  CHECK(watch.poll_ping(kStart + seconds(3), true) == heard);
}

}  // namespace kcptun::test::liveness_monitor_test
