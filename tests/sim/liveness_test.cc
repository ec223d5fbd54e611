// Peers that are down, peers that have restarted, and peers that only seem to be: no false detection on bad
// paths.
#include <catch2/catch.hpp>
#include <string>

#include "tests/support/sim_pair.h"

namespace kcptun::test::liveness_test {
namespace {

constexpr const char* kRestarted = "a link closed: the peer has restarted";
constexpr std::uint64_t kSeeds = 40;

SimSettings settings_with_delay(Duration one_way) {
  SimSettings s;
  s.client.kcp.tuning = kModePresets[3].tuning;
  s.client.kcp.send_window = s.client.kcp.receive_window = 512;
  s.client.compress = false;
  s.server = s.client;
  s.to_server.delay = s.to_client.delay = one_way;
  return s;
}

/// Writes a few messages with gaps of about `pause`: long idle times by choice.
FlowPlan sparse_writer(std::size_t bytes, Duration pause) {
  FlowPlan p;
  p.request = p.answer = bytes;
  p.pause = 0.5;
  p.longest_pause = pause;
  p.opens_at = TimePoint(seconds(1));
  return p;
}

/// Runs for `duration` and returns whether the client ever suspected that its server is down.
bool ever_suspected_dead(SimPair& pair, Duration duration) {
  bool suspected_dead = false;
  pair.run(pair.now() + duration, [&] {
    suspected_dead = suspected_dead || pair.client_link().suspected_dead(pair.now());
    return pair.settled();
  });
  return suspected_dead;
}

}  // namespace

TEST_CASE("30 % loss makes no peer suspect") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    SimSettings s = settings_with_delay(milliseconds(seed % 2 ? 25 : 100));
    s.to_server.loss = s.to_client.loss = 0.3;
    SimPair pair(s, {sparse_writer(200'000, milliseconds(1500)), sparse_writer(2'000'000, milliseconds(50))},
                 seed);
    CHECK_FALSE(ever_suspected_dead(pair, seconds(60)));
    CHECK(pair.failure() == "");
  }
}

TEST_CASE("a round trip of 2 s makes no peer suspect, with loss and jitter too") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    SimSettings s = settings_with_delay(milliseconds(1000));
    s.to_server.jitter = milliseconds(seed % 3 * 10);
    if (seed % 2) s.to_server.loss = s.to_client.loss = 0.05;
    SimPair pair(s, {sparse_writer(200'000, milliseconds(1500)), sparse_writer(1'000'000, milliseconds(50))},
                 seed);
    CHECK_FALSE(ever_suspected_dead(pair, seconds(90)));
    CHECK(pair.failure() == "");
  }
}

TEST_CASE("outages of 5 s end no session, and are no restart") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    SimSettings s = settings_with_delay(milliseconds(40));
    s.to_server.reorder = s.to_client.reorder = 0.1;
    s.to_server.reorder_by = s.to_client.reorder_by = milliseconds(900);
    s.to_server.duplicate = s.to_client.duplicate = 0.1;
    SimPair pair(s, {sparse_writer(5'000'000, milliseconds(200))}, seed);
    ever_suspected_dead(pair, milliseconds(50));
    bool suspected_dead = false;
    for (int outage = 0; outage < 3; ++outage) {
      ever_suspected_dead(pair, milliseconds(100 + 31 * (seed % 7)));
      pair.network().drop_until(pair.now() + seconds(5));
      suspected_dead |= ever_suspected_dead(pair, seconds(5));
    }
    CHECK(suspected_dead);  // as expected
    CHECK_FALSE(pair.settled());
    CHECK(pair.run(pair.now() + seconds(120), [&] { return pair.settled(); }));
    CHECK(pair.failure() == "");
  }
}

TEST_CASE("a server that forgot the session is found out soon, whoever was sending, and when nobody was") {
  enum class Traffic { kUpload, kDownload, kIdle };
  const Traffic traffic = GENERATE(Traffic::kUpload, Traffic::kDownload, Traffic::kIdle);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(static_cast<int>(traffic), seed);
    SimSettings s = settings_with_delay(milliseconds(20));
    s.to_server.loss = s.to_client.loss = 0.02;
    FlowPlan p;
    p.opens_at = TimePoint(seconds(1));
    if (traffic == Traffic::kUpload) p.request = std::size_t{1} << 30;
    if (traffic == Traffic::kDownload) p.answer = std::size_t{1} << 30;
    if (traffic == Traffic::kIdle) p.request = p.answer = 100'000;
    s.to_server.rate = s.to_client.rate = 2'000'000;
    s.to_server.queue = s.to_client.queue = 200'000;
    FlowPlan late = p;
    late.opens_at = TimePoint(seconds(7));
    SimPair pair(s, {p, late}, seed);
    ever_suspected_dead(pair, seconds(4));
    pair.network().drop_until(pair.now() + seconds(1));
    pair.restart_server();
    const TimePoint back = pair.now() + seconds(1);
    pair.run(back + seconds(20), [] { return false; });
    CHECK(pair.failure() == kRestarted);
    // Unacknowledged data is noticed first; a client that only receives sends a liveness probe after a
    // second; an idle session does so when a stream is opened at 7 s.
    const TimePoint latest = traffic == Traffic::kIdle ? TimePoint(milliseconds(7500)) : back + seconds(3);
    INFO("at " << pair.now().time_since_epoch().count() << ", back at " << back.time_since_epoch().count());
    CHECK(pair.now() <= latest);
  }
}

TEST_CASE("an unreachable server is suspect 3 s after something was sent, not before") {
  SimPair pair(settings_with_delay(milliseconds(20)), {sparse_writer(100'000'000, milliseconds(10))}, 1);
  CHECK_FALSE(ever_suspected_dead(pair, seconds(2)));
  pair.network().drop_until(TimePoint(seconds(1000)));
  const TimePoint dark = pair.now();
  CHECK_FALSE(ever_suspected_dead(pair, milliseconds(3000)));
  CHECK(ever_suspected_dead(pair, milliseconds(500)));
  CHECK(pair.run(dark + seconds(29), [] { return false; }) == false);
  CHECK(pair.failure() == "");  // a suspected peer does not end the session
}

}  // namespace kcptun::test::liveness_test
