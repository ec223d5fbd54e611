#include "core/kcp/bbr/inflight_hi.h"

#include <catch2/catch.hpp>

#include "tests/kcp/bbr/support.h"

namespace kcptun::bbr::test::inflight_hi_test {
namespace {

constexpr RoundFacts kOverflow{
    .packets = 380, .lost = 20, .loss_events = 10, .rtt = milliseconds(80), .in_flight = 100'000};

struct Limited {
  void play(const RoundFacts& facts, double path_loss = 0) {
    feeder.play(facts);
    limit.handle_round(feeder.model, path_loss, kPacket);
  }

  RoundFeeder feeder;
  InflightHi limit;
};

}  // namespace

TEST_CASE("losses with a queue take 15 % of what was in flight, down to the bandwidth-delay product") {
  Limited path;
  path.play({});  // 1 MB/s, 50 ms
  CHECK(path.limit.value() == CongestionController::kUnlimited);
  path.play(kOverflow);
  const auto first = static_cast<double>(path.feeder.model.last().max_in_flight) * 0.85;
  CHECK(path.limit.value() == static_cast<std::uint64_t>(first));
  for (int i = 0; i < 20; ++i) path.play(kOverflow);
  CHECK(path.limit.value() == path.feeder.model.bdp(1));
}

TEST_CASE("losses without a queue, or as many as the path loses by itself, limit nothing") {
  Limited path;
  path.play({});
  path.play({.packets = 380, .lost = 20, .loss_events = 10});
  path.play(kOverflow, 0.05);
  CHECK(path.limit.value() == CongestionController::kUnlimited);
}

TEST_CASE("fewer than 400 packets are not judged") {
  Limited path;
  path.play({.packets = 10});
  RoundFacts facts = kOverflow;
  facts.packets = 360;
  path.play(facts);
  CHECK(path.limit.value() == CongestionController::kUnlimited);
  path.play(facts);
  CHECK(path.limit.value() < CongestionController::kUnlimited);
}

TEST_CASE("without further losses the limit grows, and is lifted at four times the product") {
  Limited path;
  path.play({});
  path.play(kOverflow);
  const std::uint64_t limited = path.limit.value();
  path.play({.packets = 400});
  CHECK(path.limit.value() == limited + limited / 16);
  for (int i = 0; i < 20; ++i) path.play({.packets = 400});
  CHECK(path.limit.value() == CongestionController::kUnlimited);
}

}  // namespace kcptun::bbr::test::inflight_hi_test
