// Policers: boxes that drop, and never queue, what exceeds a token bucket. Each bound is slightly above what
// the simulation reaches. Headers take 6.4 % of a full packet.
#include <cstdio>

#include "tests/support/sim_bulk.h"

namespace kcptun::test::policer_test {
namespace {

struct PolicerRow {
  const char* name;
  int rtt_ms;
  double mbit;
  std::uint64_t bucket;  // KB
  double loss;           // of the path
  double goodput;        // share of the policer's rate, at least
  double dropped;        // share of the datagrams, at most
  double sent;           // bytes on the wire for each byte of the stream, at most
};

// All over 20 s, the start included, on a path of 100 Mbit/s. A bucket of a second or more passes the first
// burst; what follows it is dropped for a round trip at 100 Mbit/s.
constexpr PolicerRow kRows[] = {
    {"10 Mbit/s, 8 KB, RTT 40", 40, 10, 8, 0, 0.925, 0.03, 1.10},
    {"10 Mbit/s, 32 KB, RTT 40", 40, 10, 32, 0, 0.925, 0.03, 1.10},
    {"10 Mbit/s, 256 KB, RTT 40", 40, 10, 256, 0, 0.925, 0.045, 1.12},
    {"10 Mbit/s, 1250 KB, RTT 40", 40, 10, 1250, 0, 0.96, 0.08, 1.16},
    {"10 Mbit/s, 32 KB, RTT 40, 2 % loss", 40, 10, 32, 0.02, 0.905, 0.05, 1.12},
    {"10 Mbit/s, 1250 KB, RTT 150", 150, 10, 1250, 0, 0.95, 0.125, 1.24},
    {"50 Mbit/s, 64 KB, RTT 100", 100, 50, 64, 0, 0.90, 0.035, 1.11},
    {"2 Mbit/s, 16 KB, RTT 150", 150, 2, 16, 0, 0.91, 0.06, 1.14},
};

void print(const char* name, const BulkFacts& facts, double rate) {
  std::printf("%-44s %6.2f Mbit/s (%.3f of the rate)  dropped %5.2f %%  sent %.3f\n", name, facts.goodput,
              facts.goodput / rate, 100 * facts.dropped, facts.sent);
}

BulkFacts measure(const PolicerRow& row) {
  Bulk bulk(settings_on({row.rtt_ms, 100, row.loss}, 2048));
  bulk.network().police(static_cast<std::uint64_t>(row.mbit * kMbit), row.bucket * 1000);
  return bulk.measure(seconds(20));
}

/// A policer of 10 Mbit/s and 64 KB on a path of 100 Mbit/s, from 8 s to 16 s of 24.
struct Passing {
  Passing() : bulk(settings_on({40, 100, 0}, 2048)) {
    before = bulk.measure(seconds(8));
    bulk.network().police(static_cast<std::uint64_t>(10 * kMbit), 64'000);
    during = bulk.measure(seconds(8));
    bulk.network().lift_policer();
    recovery = bulk.measure(seconds(2));
    after = bulk.measure(seconds(6));
  }
  Bulk bulk;
  BulkFacts before, during, recovery, after;
};

}  // namespace

TEST_CASE("behind a policer the sender has the whole rate, and little is dropped") {
  for (const PolicerRow& row : kRows) {
    const BulkFacts facts = measure(row);
    CAPTURE(row.name, facts.goodput, facts.dropped, facts.sent);
    CHECK(facts.goodput >= row.goodput * row.mbit);
    CHECK(facts.dropped <= row.dropped);
    CHECK(facts.sent <= row.sent);
  }
}

TEST_CASE("a policer that comes and goes has its rate while it is there, and is forgotten afterwards") {
  const Passing passing;
  CHECK(passing.before.goodput >= 91);
  CHECK(passing.during.goodput >= 9.3);
  CHECK(passing.during.dropped <= 0.12);  // a round trip at 100 Mbit/s is 4 % of it
  CHECK(passing.recovery.goodput >= 45);
  CHECK(passing.after.goodput >= 91);
}

TEST_CASE("print what policed paths give", "[.table]") {
  for (const PolicerRow& row : kRows) print(row.name, measure(row), row.mbit);
  const Passing passing;
  print("policer of 10 Mbit/s: before", passing.before, 100);
  print("policer of 10 Mbit/s: while it is there", passing.during, 10);
  print("policer of 10 Mbit/s: the next 2 s", passing.recovery, 100);
  print("policer of 10 Mbit/s: afterwards", passing.after, 100);
}

}  // namespace kcptun::test::policer_test
