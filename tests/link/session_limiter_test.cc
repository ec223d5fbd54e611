#include "core/link/session_limiter.h"

#include <catch2/catch.hpp>

namespace kcptun::session_limiter_test {
namespace {

using Answer = SessionLimiter::Answer;

IpEndpoint v4(std::uint8_t host, std::uint16_t port = 1) {
  return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, host}, 0, port};
}
IpEndpoint v6(std::uint8_t network, std::uint8_t host) {
  return {{0x20, 1, 0xd, 0xb8, 0, 0, 0, network, 9, 9, 9, 9, 9, 9, 9, host}, 0, 1};
}

}  // namespace

TEST_CASE(
    "sessions are admitted up to the bound, then the half-open one that is silent for longest is evicted") {
  SessionLimiter limiter(4);
  for (std::uint8_t i = 1; i <= 4; ++i) {
    REQUIRE(limiter.decide(v4(i)).answer == Answer::kAdmit);
    limiter.add(i, v4(i));
  }
  limiter.record_activity(1);  // now 2 is silent for longest
  const auto decision = limiter.decide(v4(5));
  CHECK(decision.answer == Answer::kEvictThenAdmit);
  CHECK(decision.victim == 2);
  CHECK(limiter.counters().evicted == 1);
  limiter.remove(2);
  limiter.add(5, v4(5));
  CHECK(limiter.size() == 4);
  CHECK(limiter.decide(v4(6)).victim == 3);
}

TEST_CASE("a session with a stream is never evicted; when all have one, new ones are refused") {
  SessionLimiter limiter(4);
  for (std::uint8_t i = 1; i <= 4; ++i) limiter.add(i, v4(i));
  for (std::uint8_t i = 1; i <= 3; ++i) limiter.establish(i);
  CHECK(limiter.half_open() == 1);
  CHECK(limiter.decide(v4(5)).victim == 4);
  limiter.establish(4);
  CHECK(limiter.decide(v4(5)).answer == Answer::kRefuse);
  CHECK(limiter.counters().refused_full == 1);
  limiter.remove(1);
  CHECK(limiter.decide(v4(5)).answer == Answer::kAdmit);
}

TEST_CASE("a single address gets all slots but the quarter that is kept for others") {
  SessionLimiter limiter(16);
  REQUIRE(limiter.share() == 4);
  for (std::uint16_t i = 1; i <= 12; ++i) {
    REQUIRE(limiter.decide(v4(1, i)).answer == Answer::kAdmit);
    limiter.add(i, v4(1, i));
    limiter.establish(i);
  }
  CHECK(limiter.decide(v4(1, 13)).answer == Answer::kRefuse);
  CHECK(limiter.counters().refused_share == 1);
  limiter.remove(12);
  CHECK(limiter.decide(v4(1, 13)).answer == Answer::kAdmit);
}

TEST_CASE("when slots are short, an address beyond its share evicts only its own sessions") {
  SessionLimiter limiter(16);
  limiter.add(99, v4(200));  // older than all of the others
  for (std::uint16_t i = 1; i <= 11; ++i) limiter.add(i, v4(1, i));
  CHECK(limiter.decide(v4(1, 12)).victim == 1);
  for (std::uint16_t i = 1; i <= 11; ++i) limiter.establish(i);
  CHECK(limiter.decide(v4(1, 12)).answer == Answer::kRefuse);
  CHECK(limiter.decide(v4(200)).answer == Answer::kAdmit);
}

TEST_CASE("an address that has all it can get leaves the others their share") {
  SessionLimiter limiter(16);
  for (std::uint16_t i = 1; i <= 12; ++i) {
    limiter.add(i, v4(1, i));
    limiter.establish(i);
  }
  for (std::uint16_t i = 1; i <= 4; ++i) {
    REQUIRE(limiter.decide(v4(2, i)).answer == Answer::kAdmit);
    limiter.add(100 + i, v4(2, i));
  }
  CHECK(limiter.decide(v4(2, 5)).victim == 101);  // it has used up its share
  const auto third = limiter.decide(v4(3));       // and an address that has not is admitted
  CHECK(third.answer == Answer::kEvictThenAdmit);
  CHECK(third.victim == 101);
}

TEST_CASE(
    "a flood from one address leaves a slot to a new address, and keeps a quiet half-open session of "
    "another") {
  SessionLimiter limiter(64);
  limiter.add(5000, v4(9));
  SessionLimiter::Id next = 1;
  const auto open = [&](const IpEndpoint& remote) {
    const auto decision = limiter.decide(remote);
    if (decision.answer == Answer::kRefuse) return false;
    if (decision.answer == Answer::kEvictThenAdmit) {
      CHECK(decision.victim != 5000);
      limiter.remove(decision.victim);
    }
    limiter.add(next++, remote);
    return true;
  };
  for (std::uint16_t i = 1; i <= 1000; ++i) REQUIRE(open(v4(1, i)));
  CHECK(limiter.size() == 48);
  CHECK(limiter.decide(v4(2)).answer == Answer::kAdmit);
}

TEST_CASE("the 64 bits of an IPv6 network are one address") {
  SessionLimiter limiter(8);
  for (std::uint8_t i = 1; i <= 6; ++i) limiter.add(i, v6(1, i));
  CHECK(limiter.decide(v6(1, 7)).victim == 1);
  CHECK(limiter.decide(v6(2, 7)).answer == Answer::kAdmit);
}

TEST_CASE("a session that migrates counts for its new address") {
  SessionLimiter limiter(8);  // two are a share, and short when two are left
  for (std::uint8_t i = 10; i < 14; ++i) limiter.add(i, v4(i));
  limiter.add(1, v4(1));
  limiter.add(2, v4(1, 2));
  limiter.establish(2);
  CHECK(limiter.decide(v4(1, 3)).victim == 1);
  limiter.migrate(1, v4(7));
  CHECK(limiter.decide(v4(1, 3)).answer == Answer::kAdmit);
  limiter.migrate(2, v4(7));
  CHECK(limiter.decide(v4(7, 3)).victim == 1);
  for (std::uint8_t i = 10; i < 14; ++i) limiter.remove(i);
  limiter.remove(1);
  limiter.remove(2);
  CHECK(limiter.size() == 0);
  CHECK(limiter.half_open() == 0);
}

TEST_CASE("a server for one session gives its slot to the newest one without a stream") {
  SessionLimiter limiter(1);
  limiter.add(1, v4(1));
  CHECK(limiter.decide(v4(2)).victim == 1);
  limiter.establish(1);
  CHECK(limiter.decide(v4(2)).answer == Answer::kRefuse);
}

}  // namespace kcptun::session_limiter_test
