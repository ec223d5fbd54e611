#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>

#include "daemon/client/reachability.h"
#include "daemon/metrics/peer_state.h"

namespace kcptun::peer_state_test {
namespace {

using enum PeerState;

TEST_CASE("a failed peer's text has the local time, and the date where that is another day", "[status]") {
  setenv("TZ", "UTC", 1);
  tzset();
  constexpr double kNoon = 1'700'049'600;  // 2023-11-15 12:00:00
  CHECK(peer_text({.state = kUnanswered, .since = kNoon}, kNoon + 60) == "no answer since 12:00:00");
  CHECK(peer_text({.state = kRefused, .since = kNoon}, kNoon + 86400) == "refused since 2023-11-15 12:00:00");
  CHECK(peer_text({.state = kUnanswered}, kNoon) == "no answer");
  CHECK(peer_text({.state = kConnected}, kNoon) == "connected");
  CHECK(peer_text({.state = kConnecting}, kNoon) == "connecting");
  CHECK(peer_text({}, kNoon) == "waiting");
}

TEST_CASE("of a tunnel's parts one that has a live peer decides, else the one that knows more", "[status]") {
  CHECK(merge_parts({.state = kRefused, .since = 1}, {.state = kConnected}).state == kConnected);
  CHECK(merge_parts({.state = kConnected}, {.state = kUnanswered, .since = 1}).state == kConnected);
  CHECK(merge_parts({.state = kConnecting}, {.state = kUnanswered, .since = 1}).state == kUnanswered);
  CHECK(merge_parts({}, {.state = kConnecting}).state == kConnecting);
  CHECK(merge_parts({.state = kUnanswered, .since = 5}, {.state = kUnanswered, .since = 9}).since == 9);
  CHECK(merge_parts({.state = kUnanswered, .since = 9}, {.state = kUnanswered, .since = 5}).since == 9);
}

TEST_CASE("of several tunnels the one that needs attention most is told of", "[status]") {
  for (const PeerState other : {kWaiting, kConnecting, kUnanswered, kRefused}) {
    CHECK(merge_tunnels({.state = kConnected}, {.state = other}).state == other);
    CHECK(merge_tunnels({.state = other}, {.state = kConnected}).state == other);
  }
  CHECK(merge_tunnels({.state = kUnanswered}, {.state = kConnecting}).state == kUnanswered);
}

TEST_CASE("a failure lasts from its first sign until an answer, and dials get rarer", "[status]") {
  const auto at = [](int s) { return TimePoint(seconds(s)); };
  Reachability way;
  CHECK_FALSE(way.failure());
  way.handle_failure({kRefused, at(10), "look"}, false);
  CHECK(way.next_redial() == Reachability::kFirstRedial);
  way.handle_failure({kUnanswered, at(20), ""}, false);  // the next session, which was never heard either
  CHECK(way.failure()->since == at(10));
  CHECK(way.failure()->state == kUnanswered);
  CHECK(way.failure()->hint == "look");
  CHECK(way.next_redial() == 2 * Reachability::kFirstRedial);
  way.handle_failure({kUnanswered, at(40), ""}, true);  // this one had been heard
  CHECK(way.failure()->since == at(40));
  for (int i = 0; i < 10; ++i) CHECK(way.next_redial() <= Reachability::kMaxRedial);
  CHECK(way.next_redial() == Reachability::kMaxRedial);
  way.handle_answer();
  CHECK_FALSE(way.failure());
  CHECK(way.next_redial() == Reachability::kFirstRedial);
}

}  // namespace
}  // namespace kcptun::peer_state_test
