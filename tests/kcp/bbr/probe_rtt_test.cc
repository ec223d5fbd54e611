#include "core/kcp/bbr/probe_rtt.h"

#include <catch2/catch.hpp>

#include "tests/kcp/bbr/support.h"

namespace kcptun::bbr::test::probe_rtt_test {
namespace {

constexpr std::uint64_t kWindow = 60'000;  // 60 ms at 1 MB/s
constexpr std::uint64_t kMinWindow = 8 * kPacket;

struct Watched {
  Watched() { feeder.play({}); }
  void play(Duration rtt) {
    feeder.play({.rtt = rtt});
    probe.handle_round(feeder.model, kWindow);
  }
  bool due() const { return probe.due(feeder.model, feeder.now); }
  ProbeRtt::Outcome advance(Duration elapsed, std::uint64_t in_flight) {
    AckedEvent acked;
    acked.now = feeder.now += elapsed;
    acked.in_flight = in_flight;
    return probe.advance(feeder.model, acked, kMinWindow);
  }

  RoundFeeder feeder;
  ProbeRtt probe;
};

}  // namespace

TEST_CASE("a minimum round trip counts for 10 s") {
  Watched path;
  const TimePoint at = path.feeder.model.min_rtt_at();
  CHECK_FALSE(path.probe.due(path.feeder.model, at + seconds(10) - Duration(1)));
  CHECK(path.probe.due(path.feeder.model, at + seconds(10)));
  path.feeder.model.renew_min_rtt(at + seconds(1));
  CHECK_FALSE(path.probe.due(path.feeder.model, at + seconds(10)));
}

TEST_CASE("three rounds in a row that are longer than the window explains start a probe, once in 2 s") {
  Watched path;
  path.play(milliseconds(90));
  path.play(milliseconds(90));
  CHECK_FALSE(path.due());
  path.play(milliseconds(50));
  path.play(milliseconds(90));
  path.play(milliseconds(90));
  CHECK_FALSE(path.due());
  path.play(milliseconds(90));
  CHECK(path.due());
  path.probe.begin(path.feeder.model, path.feeder.now);
  for (int i = 0; i < 22; ++i) path.play(milliseconds(90));  // 1,980 ms
  CHECK_FALSE(path.due());
  path.play(milliseconds(90));
  CHECK(path.due());
}

TEST_CASE("sixteen rounds in a row with a queue start a probe, whatever explains it") {
  Watched path;
  for (int i = 0; i < 15; ++i) path.play(milliseconds(70));
  CHECK_FALSE(path.due());
  path.play(milliseconds(70));
  CHECK(path.due());
}

TEST_CASE("a probe lasts 200 ms from when half of the product is in flight, and sets the minimum") {
  Watched path;
  path.probe.begin(path.feeder.model, path.feeder.now);
  const std::uint64_t floor = path.feeder.model.bdp(0.5) + kMinWindow;
  CHECK(path.advance(seconds(5), floor + 1) == ProbeRtt::Outcome::kGoesOn);
  CHECK(path.advance(milliseconds(0), floor) == ProbeRtt::Outcome::kGoesOn);
  const Duration rtt = GENERATE(milliseconds(60), milliseconds(70));
  for (int i = 0; i < 2; ++i) path.feeder.play({.rtt = rtt});
  const Duration rest = milliseconds(200) - 2 * rtt;
  CHECK(path.advance(rest - Duration(1), 0) == ProbeRtt::Outcome::kGoesOn);
  const ProbeRtt::Outcome outcome = path.advance(Duration(1), 0);
  CHECK(outcome ==
        (rtt > milliseconds(63) ? ProbeRtt::Outcome::kPathIsLonger : ProbeRtt::Outcome::kMeasured));
  CHECK(path.feeder.model.min_rtt() == rtt);
  CHECK(path.feeder.model.min_rtt_at() == path.feeder.now);
}

TEST_CASE("a probe during which nothing tells the round trip keeps the old minimum") {
  Watched path;
  AckedEvent acked;
  acked.packets = 1;
  acked.delivered = path.feeder.delivered += kPacket;
  acked.rate = RateSample{1'000'000, acked.delivered, false};
  path.feeder.model.end_round(acked);  // a round without samples
  path.probe.begin(path.feeder.model, path.feeder.now);
  path.advance(milliseconds(1), 0);
  CHECK(path.advance(milliseconds(200), 0) == ProbeRtt::Outcome::kMeasured);
  CHECK(path.feeder.model.min_rtt() == milliseconds(50));
  CHECK(path.feeder.model.min_rtt_at() == path.feeder.now);
}

}  // namespace kcptun::bbr::test::probe_rtt_test
