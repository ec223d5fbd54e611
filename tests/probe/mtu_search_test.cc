#include "core/probe/mtu_search.h"

#include <catch2/catch.hpp>

namespace kcptun::test::mtu_search_test {
namespace {

int rounds_to(MtuSearch& search, std::uint32_t limit) {
  int rounds = 0;
  while (!search.sizes().empty()) {
    for (const auto size : std::vector(search.sizes())) {
      if (size <= limit) search.handle_answer(size);
    }
    search.finish_round();
    ++rounds;
  }
  return rounds;
}

TEST_CASE("Every limit is found exactly, in four rounds at most") {
  for (std::uint32_t limit = 500; limit <= 1500; ++limit) {
    MtuSearch search(500, 1472);
    CHECK(rounds_to(search, limit) <= 4);
    CHECK(search.largest() == std::min(limit, 1472u));
    CHECK(search.unlimited() == (limit >= 1472));
  }
}

TEST_CASE("A path without a limit takes one round") {
  MtuSearch search(500, 1472);
  CHECK(rounds_to(search, 9000) == 1);
}

TEST_CASE("Nothing to search is an answer, and an answer that nobody asked for is none") {
  MtuSearch nothing(1000, 1000);
  CHECK(nothing.sizes().empty());
  CHECK(nothing.largest() == 1000);
  MtuSearch search(500, 1472);
  search.handle_answer(1473);
  search.handle_answer(501);
  CHECK(search.largest() == 500);
}

}  // namespace
}  // namespace kcptun::test::mtu_search_test
