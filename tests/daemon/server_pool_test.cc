#include "daemon/client/server_pool.h"

#include <catch2/catch.hpp>

namespace kcptun::test::server_pool_test {
namespace {

constexpr TimePoint at(int ms) { return TimePoint(milliseconds(ms)); }

TEST_CASE("Before anything is known the first server is chosen, then the first that answers") {
  ServerPool choice(3);
  CHECK(choice.choose() == 0);
  CHECK_FALSE(choice.any_healthy());
  choice.handle_answer(2, milliseconds(90), at(0));
  CHECK(choice.choose() == 2);
  CHECK(choice.round_trip(2) == milliseconds(90));
  CHECK_FALSE(choice.round_trip(0));
}

TEST_CASE("The nearest server is chosen, and a rival must be nearer by 20 % and by 5 ms") {
  ServerPool choice(2);
  const auto chosen_at = [&choice](int mine_ms, int rival_ms) {
    choice = ServerPool(2);
    choice.handle_answer(0, milliseconds(mine_ms), at(0));
    choice.choose();
    choice.handle_answer(1, milliseconds(rival_ms), at(0));
    return choice.choose();
  };
  CHECK(chosen_at(100, 81) == 0);
  CHECK(chosen_at(100, 80) == 1);
  CHECK(chosen_at(10, 6) == 0);
  CHECK(chosen_at(10, 5) == 1);
  CHECK(chosen_at(100, 200) == 0);
}

TEST_CASE(
    "A failed server is left for the nearest healthy one, and returned to when it has answered for 15 s") {
  ServerPool choice(3);
  choice.handle_answer(0, milliseconds(10), at(0));
  choice.handle_answer(1, milliseconds(80), at(0));
  choice.handle_answer(2, milliseconds(40), at(0));
  CHECK(choice.choose() == 0);
  choice.handle_failure(0, at(1000));
  CHECK(choice.state(0) == ServerState::kFailed);
  CHECK(choice.choose() == 2);
  choice.handle_answer(0, milliseconds(12), at(5000));
  CHECK(choice.state(0) == ServerState::kHealthy);
  CHECK(choice.choose() == 2);
  choice.handle_answer(0, milliseconds(12), at(19'999));
  CHECK(choice.on_probation(0));
  CHECK(choice.choose() == 2);
  choice.handle_answer(0, milliseconds(12), at(20'000));
  CHECK_FALSE(choice.on_probation(0));
  CHECK(choice.choose() == 0);
}

TEST_CASE("A server that answers and fails in turn is not chosen again while another is healthy") {
  ServerPool choice(2);
  choice.handle_answer(0, milliseconds(10), at(0));
  choice.handle_answer(1, milliseconds(80), at(0));
  choice.choose();
  for (int turn = 1; turn < 20; ++turn) {
    const int began = 20'000 * turn;
    choice.handle_failure(0, at(began));
    CHECK(choice.choose() == 1);
    choice.handle_answer(0, milliseconds(10), at(began + 1000));
    choice.handle_answer(0, milliseconds(10), at(began + 15'999));
    CHECK(choice.choose() == 1);
  }
}

TEST_CASE(
    "A server on probation is better than none, and stays chosen until a trusted one is clearly nearer") {
  ServerPool choice(3);
  for (std::size_t i = 0; i < 3; ++i) {
    choice.handle_answer(i, milliseconds(10), at(0));
    choice.handle_failure(i, at(0));
  }
  choice.handle_answer(1, milliseconds(50), at(1000));
  CHECK(choice.choose() == 1);
  choice.handle_answer(0, milliseconds(10), at(1500));
  choice.handle_answer(2, milliseconds(100), at(500));
  CHECK(choice.choose() == 1);
  choice.handle_answer(2, milliseconds(100), at(15'500));
  CHECK(choice.choose() == 1);
  choice.handle_answer(0, milliseconds(10), at(16'500));
  CHECK(choice.choose() == 0);
}

TEST_CASE("Of servers that answer one on probation is passed over, however near, when the chosen one fails") {
  ServerPool choice(3);
  choice.handle_answer(0, milliseconds(20), at(0));
  choice.handle_answer(1, milliseconds(90), at(0));
  choice.handle_failure(1, at(0));
  choice.handle_answer(1, milliseconds(10), at(1000));
  choice.handle_answer(2, milliseconds(90), at(1000));
  CHECK(choice.choose() == 0);
  choice.handle_failure(0, at(2000));
  CHECK(choice.choose() == 2);
}

TEST_CASE("A server that did not answer at first is chosen as soon as it does") {
  ServerPool choice(2);
  choice.handle_failure(0, at(0));
  choice.handle_answer(1, milliseconds(90), at(0));
  CHECK(choice.choose() == 1);
  choice.handle_failure(0, at(3000));
  CHECK_FALSE(choice.on_probation(0));
  choice.handle_answer(0, milliseconds(10), at(5000));
  CHECK(choice.choose() == 0);
  choice.handle_failure(0, at(6000));
  CHECK(choice.choose() == 1);
  choice.handle_answer(0, milliseconds(10), at(8000));
  CHECK(choice.on_probation(0));
  CHECK(choice.choose() == 1);
}

TEST_CASE("When all have failed the one that failed longest ago is the most hopeful") {
  ServerPool choice(3);
  choice.handle_failure(1, at(10));
  CHECK_FALSE(choice.all_failed());
  choice.handle_failure(0, at(20));
  CHECK(choice.choose() == 2);  // never tried
  choice.handle_failure(2, at(30));
  CHECK(choice.all_failed());
  CHECK(choice.choose() == 1);
  choice.handle_failure(1, at(40));
  CHECK(choice.choose() == 0);
}

TEST_CASE(
    "A failed server is tried again after 1 s, then 2, 4 and 8, and after 1 s again once it has answered for "
    "15 s") {
  ServerPool choice(1);
  for (const int wait : {1000, 2000, 4000, 8000, 8000}) {
    choice.handle_failure(0, at(5));
    CHECK(choice.retry_at(0) == at(5 + wait));
    choice.handle_answer(0, milliseconds(1), at(10));
    choice.handle_answer(0, milliseconds(1), at(15'009));
    CHECK(choice.retry_at(0) == TimePoint{});
  }
  choice.handle_answer(0, milliseconds(1), at(15'010));
  choice.handle_failure(0, at(5));
  CHECK(choice.retry_at(0) == at(1005));
}

}  // namespace
}  // namespace kcptun::test::server_pool_test
