#include "core/kcp/bbr/slowdown.h"

#include <catch2/catch.hpp>

#include "tests/kcp/bbr/support.h"

namespace kcptun::bbr::test::slowdown_test {
namespace {

/// A batch of 4 packets each 5 ms on a path of 50 ms that has delivered 10 MB/s.
struct Slowing {
  Slowing() {
    feeder.play({.rate = 10'000'000});
    acked.in_flight = 600'000;
    acked.rtt = milliseconds(50);
  }
  /// Plays `time`, in which the round trip grows by `growth` per batch. The rate that was found, or 0.
  std::uint64_t play(Duration time, Duration growth, std::uint32_t packets = 4) {
    std::uint64_t found = 0;
    for (Duration played{0}; played < time; played += milliseconds(5)) {
      acked.now = feeder.now += milliseconds(5);
      acked.packets = packets;
      acked.bytes = packets * kPacket;
      acked.delivered = feeder.delivered += acked.bytes;
      acked.rtt = *acked.rtt + growth;
      if (const auto rate = slowdown.handle_batch(feeder.model, {acked, 0, 0})) found = *rate;
    }
    return found;
  }

  RoundFeeder feeder;
  Slowdown slowdown;
  AckedEvent acked;
};

}  // namespace

TEST_CASE("a path of which less arrives while its queue grows has become slower, to what arrives") {
  Slowing path;
  const std::uint64_t rate = path.play(milliseconds(250), milliseconds(4));
  CHECK(static_cast<double>(rate) == Approx(4 * kPacket * 200).epsilon(0.01));
}

TEST_CASE("a path that became longer, that loses nothing of its rate, or that was not filled, has not") {
  Slowing longer;
  longer.acked.rtt = milliseconds(150);
  CHECK(longer.play(seconds(2), Duration(0)) == 0);
  Slowing fast;
  CHECK(fast.play(milliseconds(250), milliseconds(4), 20) == 0);
  Slowing idle;
  idle.acked.in_flight = 100'000;
  CHECK(idle.play(milliseconds(250), milliseconds(4)) == 0);
  Slowing brief;
  CHECK(brief.play(milliseconds(95), milliseconds(4)) == 0);
}

}  // namespace kcptun::bbr::test::slowdown_test
