// Paths that change, and paths that easily mislead a sender. Each bound is slightly below what the simulation
// reaches. Headers take 5.8 % of a full packet.
#include <algorithm>
#include <cstdio>

#include "tests/support/sim_bulk.h"

namespace kcptun::test::hard_path_test {
namespace {

SimSettings with_queue(SimSettings s, std::uint64_t bytes) {
  s.to_server.queue = s.to_client.queue = bytes;
  return s;
}

BulkFacts on_path(const SimSettings& s, Duration time) {
  Bulk bulk(s);
  return bulk.measure(time);
}

BulkFacts longer_for_good() {
  Bulk bulk(settings_on({10, 100, 0}, 4096));
  bulk.run(seconds(5));
  bulk.network().set_delay(milliseconds(75));
  return bulk.measure(seconds(15));
}

/// The delay walks in steps of up to 2 ms each 10 ms, between RTTs of 50 and 150 ms.
BulkFacts wandering() {
  Bulk bulk(settings_on({100, 100, 0.1}, 4096));
  Random random(7);
  std::int64_t delay = 50'000;
  bulk.run(seconds(1));
  BulkFacts facts;
  constexpr int kSteps = 1900;
  for (int i = 0; i < kSteps; ++i) {
    const auto step = static_cast<std::int64_t>(random.below(4001)) - 2000;
    delay = std::clamp<std::int64_t>(delay + step, 25'000, 75'000);
    bulk.network().set_delay(microseconds(delay));
    facts.goodput += bulk.run(milliseconds(10)) / kSteps;
  }
  return facts;
}

BulkFacts bunched_acks() {
  SimSettings s = settings_on({50, 100, 0}, 2048);
  s.to_client.arrival_granularity = milliseconds(20);
  return on_path(s, seconds(15));
}

struct HardRow {
  const char* name;
  BulkFacts (*measure)();
  double goodput;  // Mbit/s, at least
};

constexpr HardRow kRows[] = {
    {"100 Mbit/s, RTT 10 -> 150 ms for good", longer_for_good, 80},
    {"100 Mbit/s, RTT walks 50..150 ms, 10 % loss", wandering, 58},
    {"100 Mbit/s, RTT 50, acks in bunches of 20 ms", bunched_acks, 89},
    {"100 Mbit/s, RTT 50, queue 64 KB",
     [] {
       return on_path(with_queue(settings_on({50, 100, 0}, 2048), 64'000), seconds(15));
     },
     89},
    {"100 Mbit/s, RTT 50, queue 4 MB",
     [] {
       return on_path(with_queue(settings_on({50, 100, 0}, 8192), 4'000'000), seconds(15));
     },
     90},
    {"1 Mbit/s, RTT 50, queue 64 KB",
     [] {
       return on_path(with_queue(settings_on({50, 1, 0}, 2048), 64'000), seconds(30));
     },
     0.9},
    {"50 Mbit/s, RTT 600",
     [] {
       return on_path(settings_on({600, 50, 0}, 8192), seconds(40));
     },
     38},
    {"50 Mbit/s, RTT 600, 1 % loss",
     [] {
       return on_path(settings_on({600, 50, 0.01}, 8192), seconds(40));
     },
     36},
};

/// 100, 10 and again 100 Mbit/s, RTT 50, queue 512 KB.
struct Dip {
  Dip() : bulk(settings_on({50, 100, 0}, 2048)) {
    bulk.run(seconds(8));
    bulk.network().set_rate(static_cast<std::uint64_t>(10 * kMbit));
    drop = bulk.measure(seconds(1));
    drained = bulk.pair.client_link().kcp().rtt().smoothed().value();
    slow = bulk.measure(seconds(7));
    bulk.network().set_rate(static_cast<std::uint64_t>(100 * kMbit));
    rise = bulk.measure(seconds(2));
    fast = bulk.measure(seconds(5));
  }
  Bulk bulk;
  BulkFacts drop, slow, rise, fast;
  Duration drained{};
};

void print(const char* name, const BulkFacts& facts) {
  std::printf("%-44s %6.2f Mbit/s  dropped %5.2f %%  sent %.3f\n", name, facts.goodput, 100 * facts.dropped,
              facts.sent);
}

}  // namespace

TEST_CASE("hard paths are filled") {
  for (const HardRow& row : kRows) {
    const BulkFacts facts = row.measure();
    CAPTURE(row.name, facts.goodput, facts.dropped, facts.sent);
    CHECK(facts.goodput >= row.goodput);
  }
}

// At the drop 900 KB are in flight, of which the path takes 0.7 s: so long, and no longer, is its queue full.
TEST_CASE("a path that becomes ten times slower has an empty queue within a second, and is found again") {
  const Dip dip;
  CHECK(dip.drained < milliseconds(65));
  CHECK(dip.slow.goodput >= 9);
  CHECK(dip.slow.dropped <= 0.01);
  CHECK(dip.rise.goodput >= 55);
  CHECK(dip.fast.goodput >= 91);
}

TEST_CASE("print what hard paths give", "[.table]") {
  for (const HardRow& row : kRows) print(row.name, row.measure());
  const Dip dip;
  print("100 -> 10 Mbit/s: the first second", dip.drop);
  print("100 -> 10 Mbit/s: the next 7 s", dip.slow);
  print("10 -> 100 Mbit/s: the first 2 s", dip.rise);
  print("10 -> 100 Mbit/s: the next 5 s", dip.fast);
}

}  // namespace kcptun::test::hard_path_test
