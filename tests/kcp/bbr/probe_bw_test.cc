#include "core/kcp/bbr/probe_bw.h"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/kcp/bbr/support.h"

namespace kcptun::bbr::test::probe_bw_test {
namespace {

struct Probing {
  explicit Probing(std::uint32_t phase = 5) : probe(phase) {
    feeder.play({});
    probe.begin(feeder.now);
  }
  /// One round trip later; `in_flight`: bytes.
  void step(std::uint64_t in_flight, Duration elapsed = milliseconds(50)) {
    AckedEvent acked;
    acked.now = feeder.now += elapsed;
    acked.in_flight = in_flight;
    probe.advance(feeder.model, acked, path_loss);
  }
  void reach(double gain) {
    for (int i = 0; i < 20 && probe.gain() != gain; ++i) step(feeder.model.bdp(2));
  }

  RoundFeeder feeder;
  ProbeBw probe;
  double path_loss = 0;
};

}  // namespace

TEST_CASE("a cycle sends a quarter more, a quarter less, and six times as much as the bandwidth") {
  Probing path;
  path.reach(1.25);
  std::vector<double> gains;
  for (int i = 0; i < 9; ++i) {
    gains.push_back(path.probe.gain());
    path.step(path.feeder.model.bdp(path.probe.gain()));
  }
  CHECK(gains == std::vector<double>{1.25, 0.75, 1, 1, 1, 1, 1, 1, 1.25});
}

TEST_CASE("sessions with different phases begin their cycles at different times, none with a probe") {
  for (std::uint32_t phase = 0; phase < 12; ++phase) {
    Probing path(phase);
    CHECK(path.probe.gain() == 1);
    int rounds = 0;
    for (; path.probe.gain() == 1 && rounds < 10; ++rounds) path.step(0);
    // The earliest one ends where a probe shows what it found; no bandwidth is known from before, so a probe
    // follows.
    CHECK(rounds == (phase % 6 == 0 ? 1 : static_cast<int>(6 - phase % 6)));
  }
}

TEST_CASE("a probe lasts until it has filled the path or lost something, two round trips at most") {
  Probing path;
  path.reach(1.25);
  path.step(0, milliseconds(50));
  CHECK(path.probe.gain() == 1.25);
  SECTION("filled") { path.step(path.feeder.model.bdp(1.25), milliseconds(1)); }
  SECTION("lost") {
    path.probe.handle_loss();
    path.step(0, milliseconds(1));
  }
  SECTION("two round trips") { path.step(0, milliseconds(50)); }
  CHECK(path.probe.gain() == 0.75);
}

TEST_CASE("the phase after a probe ends when the queue is gone, after two round trips at most") {
  Probing path;
  path.reach(0.75);
  path.step(path.feeder.model.bdp(1) + 1, milliseconds(99));
  CHECK(path.probe.gain() == 0.75);
  SECTION("gone") { path.step(path.feeder.model.bdp(1), milliseconds(0)); }
  SECTION("two round trips") { path.step(path.feeder.model.bdp(2), milliseconds(1)); }
  CHECK(path.probe.gain() == 1);
}

TEST_CASE("a probe that found more is followed by another one") {
  Probing path;
  path.reach(1.25);
  path.step(path.feeder.model.bdp(1.25));
  path.step(0);
  REQUIRE(path.probe.gain() == 1);
  path.feeder.play({.rate = 1'200'000});
  path.step(0);
  CHECK(path.probe.gain() == 1.25);
}

TEST_CASE("one of eight cycles measures the path's loss, if there is any, in the phase that sends less") {
  Probing path;
  path.path_loss = GENERATE(0.0, 0.02);
  std::vector<int> measured;
  for (int cycle = 0; cycle < 17; ++cycle) {
    path.reach(1.25);
    path.step(path.feeder.model.bdp(1.25));
    if (path.probe.measuring()) measured.push_back(cycle);
    path.reach(1);
  }
  CHECK(measured == (path.path_loss > 0 ? std::vector<int>{0, 8, 16} : std::vector<int>{}));
}

TEST_CASE(
    "a measurement begins one and a half round trips later, and lasts for 64 packets or six round trips") {
  Probing path;
  path.path_loss = 0.02;
  path.reach(1.25);
  path.step(path.feeder.model.bdp(1.25));
  REQUIRE(path.probe.measuring());
  const TimePoint began = path.feeder.now;
  CHECK_FALSE(path.probe.counts(path.feeder.model, began + milliseconds(85) - Duration(1)));
  CHECK(path.probe.counts(path.feeder.model, began + milliseconds(85)));
  path.probe.count(63);
  path.step(0, milliseconds(299));
  CHECK(path.probe.measuring());
  SECTION("packets") {
    path.probe.count(1);
    path.step(0, milliseconds(0));
  }
  SECTION("round trips") { path.step(0, milliseconds(1)); }
  CHECK_FALSE(path.probe.measuring());
}

}  // namespace kcptun::bbr::test::probe_bw_test
