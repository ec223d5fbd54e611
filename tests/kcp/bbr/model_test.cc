#include "core/kcp/bbr/model.h"

#include <catch2/catch.hpp>

#include "tests/kcp/bbr/support.h"

namespace kcptun::bbr::test::model_test {

TEST_CASE("a round ends when a packet is acknowledged that left after the round began") {
  RoundFeeder feeder;
  feeder.play({.packets = 100, .lost = 3, .loss_events = 2});
  CHECK(feeder.model.round_count() == 1);
  CHECK(feeder.model.last().acked == 100);
  CHECK(feeder.model.last().packets() == 103);
  CHECK(feeder.model.last().loss_events == 2);
  CHECK(feeder.model.last().min_rtt == milliseconds(50));
  CHECK(feeder.model.current().packets() == 0);
  AckedEvent acked;
  acked.packets = 1;
  acked.delivered = feeder.delivered + kPacket;
  acked.rate = RateSample{1'000'000, feeder.delivered - 1, false};  // it left before
  CHECK_FALSE(feeder.model.end_round(acked));
  acked.rate->prior_delivered = feeder.delivered;
  CHECK(feeder.model.end_round(acked));
  acked.rate.reset();
  CHECK_FALSE(feeder.model.end_round(acked));
}

TEST_CASE("the bandwidth is the maximum of ten rounds, and the application's gaps do not lower it") {
  RoundFeeder feeder;
  feeder.play({.rate = 2'000'000});
  feeder.play({.rate = 500'000, .app_limited = true});
  CHECK(feeder.model.bandwidth() == 2'000'000);
  feeder.play({.rate = 2'500'000, .app_limited = true});
  CHECK(feeder.model.bandwidth() == 2'500'000);
  for (int i = 0; i < 11; ++i) feeder.play({.rate = 1'000'000});
  CHECK(feeder.model.bandwidth() == 1'000'000);
}

TEST_CASE("the bandwidth-delay product is that of the minimum round trip") {
  RoundFeeder feeder;
  CHECK(feeder.model.bdp(1) == 0);
  feeder.play({.rtt = milliseconds(40)});
  feeder.play({.rtt = milliseconds(90)});
  CHECK(feeder.model.bdp(1) == 40'000);
  CHECK(feeder.model.bdp(0.5) == 20'000);
  CHECK(feeder.model.carried_in(milliseconds(10)) == 10'000);
  feeder.model.set_min_rtt(milliseconds(90));
  CHECK(feeder.model.bdp(1) == 90'000);
}

TEST_CASE("a queue shows where the fastest of enough samples is late by an eighth, and by 4 ms at least") {
  RoundFeeder feeder;
  Round round{.samples = kQueueSamples, .min_rtt = milliseconds(100)};
  CHECK_FALSE(feeder.model.shows_queue(round, kQueueSamples));  // no minimum is known
  feeder.play({.rtt = milliseconds(80)});
  round.min_rtt = milliseconds(90);
  CHECK_FALSE(feeder.model.shows_queue(round, kQueueSamples));
  round.min_rtt += Duration(1);
  CHECK(feeder.model.shows_queue(round, kQueueSamples));
  round.samples = kQueueSamples - 1;
  CHECK_FALSE(feeder.model.shows_queue(round, kQueueSamples));
  feeder.play({.rtt = milliseconds(8)});
  round = {.samples = kQueueSamples, .min_rtt = milliseconds(12)};
  CHECK_FALSE(feeder.model.shows_queue(round, kQueueSamples));
  round.min_rtt += Duration(1);
  CHECK(feeder.model.shows_queue(round, kQueueSamples));
}

TEST_CASE("acknowledgements that arrive in bunches show as an excess, up to the window") {
  RoundFeeder feeder;
  feeder.play({.rate = 1'000'000});
  AckedEvent acked;
  acked.bytes = 30'000;
  acked.now = feeder.now;
  feeder.model.update_extra_acked(acked, 1'000'000);
  acked.now += milliseconds(10);  // the bandwidth explains 10,000 of 60,000 bytes
  feeder.model.update_extra_acked(acked, 1'000'000);
  CHECK(feeder.model.extra_acked() == 50'000);
  acked.now += milliseconds(1);
  feeder.model.update_extra_acked(acked, 60'000);
  CHECK(feeder.model.extra_acked() == 60'000);
}

TEST_CASE("a bandwidth that was set counts until packets that left afterwards show another one") {
  RoundFeeder feeder;
  feeder.play({.rate = 10'000'000});
  feeder.model.set_bandwidth(1'000'000, feeder.now);
  CHECK(feeder.model.bandwidth() == 1'000'000);
  feeder.play({.rate = 9'000'000});
  CHECK(feeder.model.bandwidth() == 1'000'000);
  feeder.play({.rate = 2'000'000});
  CHECK(feeder.model.bandwidth() == 2'000'000);
}

}  // namespace kcptun::bbr::test::model_test
