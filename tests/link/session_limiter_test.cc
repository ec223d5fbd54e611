#include "core/link/session_limiter.h"

#include <catch2/catch.hpp>

namespace kcptun {
namespace {

using Answer = SessionLimiter::Answer;

IpEndpoint v4(std::uint8_t host, std::uint16_t port = 1) {
  return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, host}, 0, port};
}
IpEndpoint v6(std::uint8_t network, std::uint8_t host) {
  return {{0x20, 1, 0xd, 0xb8, 0, 0, 0, network, 9, 9, 9, 9, 9, 9, 9, host}, 0, 1};
}

}  // namespace

TEST_CASE("sessions are let in up to the bound, then the half-open one that is silent for longest goes") {
  SessionLimiter places(4);
  for (std::uint8_t i = 1; i <= 4; ++i) {
    REQUIRE(places.decide(v4(i)).answer == Answer::kAdmit);
    places.add(i, v4(i));
  }
  places.touch(1);  // now 2 is silent for longest
  const auto decision = places.decide(v4(5));
  CHECK(decision.answer == Answer::kEvictThenAdmit);
  CHECK(decision.victim == 2);
  CHECK(places.counters().evicted == 1);
  places.remove(2);
  places.add(5, v4(5));
  CHECK(places.size() == 4);
  CHECK(places.decide(v4(6)).victim == 3);
}

TEST_CASE("a session with a stream is never put out; when all have one, newcomers are refused") {
  SessionLimiter places(4);
  for (std::uint8_t i = 1; i <= 4; ++i) places.add(i, v4(i));
  for (std::uint8_t i = 1; i <= 3; ++i) places.establish(i);
  CHECK(places.half_open() == 1);
  CHECK(places.decide(v4(5)).victim == 4);
  places.establish(4);
  CHECK(places.decide(v4(5)).answer == Answer::kRefuse);
  CHECK(places.counters().refused_full == 1);
  places.remove(1);
  CHECK(places.decide(v4(5)).answer == Answer::kAdmit);
}

TEST_CASE("an address alone has all places but the quarter that is kept for others") {
  SessionLimiter places(16);
  REQUIRE(places.share() == 4);
  for (std::uint16_t i = 1; i <= 12; ++i) {
    REQUIRE(places.decide(v4(1, i)).answer == Answer::kAdmit);
    places.add(i, v4(1, i));
    places.establish(i);
  }
  CHECK(places.decide(v4(1, 13)).answer == Answer::kRefuse);
  CHECK(places.counters().refused_share == 1);
  places.remove(12);
  CHECK(places.decide(v4(1, 13)).answer == Answer::kAdmit);
}

TEST_CASE("where places are short, an address beyond its share puts out only its own") {
  SessionLimiter places(16);
  places.add(99, v4(200));  // older than all of the others
  for (std::uint16_t i = 1; i <= 11; ++i) places.add(i, v4(1, i));
  CHECK(places.decide(v4(1, 12)).victim == 1);
  for (std::uint16_t i = 1; i <= 11; ++i) places.establish(i);
  CHECK(places.decide(v4(1, 12)).answer == Answer::kRefuse);
  CHECK(places.decide(v4(200)).answer == Answer::kAdmit);
}

TEST_CASE("whoever has taken all that one address can, others have their share still") {
  SessionLimiter places(16);
  for (std::uint16_t i = 1; i <= 12; ++i) {
    places.add(i, v4(1, i));
    places.establish(i);
  }
  for (std::uint16_t i = 1; i <= 4; ++i) {
    REQUIRE(places.decide(v4(2, i)).answer == Answer::kAdmit);
    places.add(100 + i, v4(2, i));
  }
  CHECK(places.decide(v4(2, 5)).victim == 101);  // it has used up its share
  const auto third = places.decide(v4(3));       // and who has not gets in
  CHECK(third.answer == Answer::kEvictThenAdmit);
  CHECK(third.victim == 101);
}

TEST_CASE("a flood from one address leaves a place to a newcomer, and to one that is quiet and half-open") {
  SessionLimiter places(64);
  places.add(5000, v4(9));
  SessionLimiter::Id next = 1;
  const auto open = [&](const IpEndpoint& remote) {
    const auto decision = places.decide(remote);
    if (decision.answer == Answer::kRefuse) return false;
    if (decision.answer == Answer::kEvictThenAdmit) {
      CHECK(decision.victim != 5000);
      places.remove(decision.victim);
    }
    places.add(next++, remote);
    return true;
  };
  for (std::uint16_t i = 1; i <= 1000; ++i) REQUIRE(open(v4(1, i)));
  CHECK(places.size() == 48);
  CHECK(places.decide(v4(2)).answer == Answer::kAdmit);
}

TEST_CASE("the 64 bits of an IPv6 network are one address") {
  SessionLimiter places(8);
  for (std::uint8_t i = 1; i <= 6; ++i) places.add(i, v6(1, i));
  CHECK(places.decide(v6(1, 7)).victim == 1);
  CHECK(places.decide(v6(2, 7)).answer == Answer::kAdmit);
}

TEST_CASE("who moves takes the place along to the other address") {
  SessionLimiter places(8);  // two are a share, and short when two are left
  for (std::uint8_t i = 10; i < 14; ++i) places.add(i, v4(i));
  places.add(1, v4(1));
  places.add(2, v4(1, 2));
  places.establish(2);
  CHECK(places.decide(v4(1, 3)).victim == 1);
  places.move(1, v4(7));
  CHECK(places.decide(v4(1, 3)).answer == Answer::kAdmit);
  places.move(2, v4(7));
  CHECK(places.decide(v4(7, 3)).victim == 1);
  for (std::uint8_t i = 10; i < 14; ++i) places.remove(i);
  places.remove(1);
  places.remove(2);
  CHECK(places.size() == 0);
  CHECK(places.half_open() == 0);
}

TEST_CASE("a server for one session gives its place to the newest that has no stream") {
  SessionLimiter places(1);
  places.add(1, v4(1));
  CHECK(places.decide(v4(2)).victim == 1);
  places.establish(1);
  CHECK(places.decide(v4(2)).answer == Answer::kRefuse);
}

}  // namespace kcptun
