#include "core/kcp/bbr/startup.h"

#include <catch2/catch.hpp>

#include "tests/kcp/bbr/support.h"

namespace kcptun::bbr::test::startup_test {
namespace {

struct Starting {
  void play(const RoundFacts& facts) {
    const AckedEvent acked = feeder.play(facts);
    if (!startup.pipe_filled()) startup.handle_round(feeder.model);
    now = acked.now;
  }
  /// Rounds with those facts until the pipe is full.
  int rounds_until_filled(const RoundFacts& facts) {
    int rounds = 0;
    while (!startup.pipe_filled() && rounds < 100) {
      play(facts);
      ++rounds;
    }
    return rounds;
  }

  RoundFeeder feeder;
  Startup startup;
  TimePoint now = kStart;
};

}  // namespace

TEST_CASE(
    "Startup goes on while the bandwidth grows by a quarter, and ends after three rounds in which it does "
    "not") {
  Starting path;
  std::uint64_t rate = 100'000;
  for (int i = 0; i < 10; ++i, rate += rate / 3) path.play({.rate = rate});
  CHECK_FALSE(path.startup.pipe_filled());
  CHECK(path.rounds_until_filled({.rate = rate}) >= 3);
  Starting flat;
  CHECK(flat.rounds_until_filled({}) <= 1 + 1 + 3);
}

TEST_CASE("a sender that the application limits has five rounds") {
  Starting free, limited;
  const int rounds = free.rounds_until_filled({});
  CHECK(limited.rounds_until_filled({.app_limited = true}) == rounds + 2);
  Starting idle;
  CHECK(idle.rounds_until_filled({.packets = 30, .app_limited = true}) ==
        100);  // so few packets tell nothing
}

TEST_CASE("a queue ends Startup, within a round or at its end") {
  Starting path;
  path.play({});
  path.startup.handle_batch(path.feeder.model, {});
  CHECK_FALSE(path.startup.pipe_filled());
  SECTION("at its end") { path.play({.rtt = milliseconds(80), .rate = 2'000'000}); }
  SECTION("within it") {
    AckedEvent acked;
    acked.rtt = milliseconds(80);
    for (std::uint32_t i = 1; i < kEarlySamples; ++i) path.feeder.model.count_acked(acked);
    path.startup.handle_batch(path.feeder.model, {});
    CHECK_FALSE(path.startup.pipe_filled());
    path.feeder.model.count_acked(acked);
    path.startup.handle_batch(path.feeder.model, {});
  }
  CHECK(path.startup.pipe_filled());
}

TEST_CASE("on a slow path a few late samples end Startup, in the middle of a round") {
  const std::uint64_t rate = GENERATE(100'000u, 300'000u);  // bytes per second
  Starting path;
  path.play({.rate = rate});
  AckedEvent acked;
  acked.now = path.feeder.now;
  const Duration late = GENERATE(milliseconds(52), milliseconds(80));
  acked.rtt = late;
  int samples = 0;
  for (; samples < 30 && !path.startup.pipe_filled(); ++samples) {
    acked.now += milliseconds(40);
    path.startup.handle_batch(path.feeder.model, acked);
  }
  const bool ends = rate < 250'000 && late > milliseconds(60);
  CHECK(samples == (ends ? 6 : 30));  // 200 ms after the first one
}

TEST_CASE("losses end Startup where they are many, scattered, and a third more than before") {
  const RoundFacts clean{.rate = 100'000};
  const auto ends = [&](RoundFacts facts) {
    Starting path;
    path.play(clean);
    facts.rate = 1'000'000;
    path.play(facts);
    return path.startup.pipe_filled();
  };
  CHECK(ends({.packets = 60, .lost = 40, .loss_events = 8}));
  CHECK_FALSE(ends({.packets = 60, .lost = 40, .loss_events = 7}));   // one burst
  CHECK_FALSE(ends({.packets = 40, .lost = 20, .loss_events = 20}));  // too few packets
  CHECK_FALSE(ends({.packets = 80, .lost = 20, .loss_events = 20}));  // lost acknowledgements may be as many
}

TEST_CASE("where a queue turns out to be a longer path within 5 s, Startup goes on") {
  Starting path;
  path.play({});
  path.play({.rtt = milliseconds(80), .rate = 2'000'000});
  REQUIRE(path.startup.pipe_filled());
  path.startup.handle_exit(path.now);
  SECTION("a longer path") {
    path.startup.handle_probe(true, path.now + seconds(5) - Duration(1));
    CHECK_FALSE(path.startup.pipe_filled());
  }
  SECTION("the same path") { path.startup.handle_probe(false, path.now + seconds(1)); }
  SECTION("too late") { path.startup.handle_probe(true, path.now + seconds(5)); }
  if (path.startup.pipe_filled()) {
    path.startup.handle_probe(true, path.now + seconds(1));  // only the first probe may doubt it
    CHECK(path.startup.pipe_filled());
  }
}

}  // namespace kcptun::bbr::test::startup_test
