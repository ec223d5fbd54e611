#include "core/link/session_places.h"

#include <catch2/catch.hpp>

namespace kcptun {
namespace {

using Answer = SessionPlaces::Answer;

IpEndpoint v4(std::uint8_t host, std::uint16_t port = 1) {
  return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, host}, 0, port};
}
IpEndpoint v6(std::uint8_t network, std::uint8_t host) {
  return {{0x20, 1, 0xd, 0xb8, 0, 0, 0, network, 9, 9, 9, 9, 9, 9, 9, host}, 0, 1};
}

}  // namespace

TEST_CASE("sessions are let in up to the bound, then the half-open one that is silent for longest goes") {
  SessionPlaces places(4);
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
  SessionPlaces places(4);
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

TEST_CASE("an address has a share, and beyond it puts out only its own") {
  SessionPlaces places(16);
  REQUIRE(places.share() == 4);
  places.add(99, v4(200));  // older than all of the others
  for (std::uint16_t i = 1; i <= 4; ++i) {
    REQUIRE(places.decide(v4(1, i)).answer == Answer::kAdmit);
    places.add(i, v4(1, i));
  }
  CHECK(places.decide(v4(1, 5)).victim == 1);
  for (std::uint16_t i = 1; i <= 4; ++i) places.establish(i);
  CHECK(places.decide(v4(1, 5)).answer == Answer::kRefuse);
  CHECK(places.counters().refused_share == 1);
  CHECK(places.decide(v4(2)).answer == Answer::kAdmit);
}

TEST_CASE("the 64 bits of an IPv6 network are one address") {
  SessionPlaces places(8);
  places.add(1, v6(1, 1));
  places.add(2, v6(1, 2));
  CHECK(places.decide(v6(1, 3)).victim == 1);
  CHECK(places.decide(v6(2, 3)).answer == Answer::kAdmit);
}

TEST_CASE("who moves takes the place along to the other address") {
  SessionPlaces places(8);
  places.add(1, v4(1));
  places.add(2, v4(1, 2));
  places.establish(2);
  CHECK(places.decide(v4(1, 3)).victim == 1);
  places.move(1, v4(7));
  CHECK(places.decide(v4(1, 3)).answer == Answer::kAdmit);
  places.move(2, v4(7));
  CHECK(places.decide(v4(7, 3)).victim == 1);
  places.remove(1);
  places.remove(2);
  CHECK(places.size() == 0);
  CHECK(places.half_open() == 0);
}

TEST_CASE("a server for one session gives its place to the newest that has no stream") {
  SessionPlaces places(1);
  places.add(1, v4(1));
  CHECK(places.decide(v4(2)).victim == 1);
  places.establish(1);
  CHECK(places.decide(v4(2)).answer == Answer::kRefuse);
}

}  // namespace kcptun
