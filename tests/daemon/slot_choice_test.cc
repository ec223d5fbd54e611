#include "daemon/client/slot_choice.h"

#include <catch2/catch.hpp>
#include <vector>

namespace kcptun::slot_choice_test {
namespace {

using Slots = std::vector<SlotLoad>;

constexpr SlotLoad kEmpty{};

SlotLoad free_slot(std::uint64_t queued = 0, std::size_t streams = 1) {
  return {SlotLoad::State::kFree, queued, streams};
}
SlotLoad saturated(std::uint64_t queued, std::size_t streams = 1) {
  return {SlotLoad::State::kSaturated, queued, streams};
}

}  // namespace

TEST_CASE("the first session is dialled for the first stream, and takes all others while it is free") {
  CHECK(choose_slot(Slots{kEmpty, kEmpty, kEmpty, kEmpty}) == 0);
  CHECK(choose_slot(Slots{free_slot(), kEmpty, kEmpty, kEmpty}) == 0);
  CHECK(choose_slot(Slots{free_slot(0, 1000), kEmpty, kEmpty, kEmpty}) == 0);
  CHECK(choose_slot(Slots{free_slot(0, 5), free_slot(0, 1), kEmpty, kEmpty}) == 0);
}

TEST_CASE("a saturated session gets no new stream while another can be dialled or is free") {
  CHECK(choose_slot(Slots{saturated(0), kEmpty, kEmpty, kEmpty}) == 1);
  CHECK(choose_slot(Slots{saturated(0), free_slot(900'000), kEmpty, kEmpty}) == 1);
  CHECK(choose_slot(Slots{saturated(0), saturated(0), kEmpty, free_slot()}) == 3);
  CHECK(choose_slot(Slots{kEmpty, saturated(0), kEmpty, kEmpty}) == 0);
}

TEST_CASE("new streams go to the shortest queue") {
  CHECK(choose_slot(Slots{free_slot(500'000), free_slot(100'000), free_slot(300'000)}) == 1);
  CHECK(choose_slot(Slots{saturated(500'000), saturated(900'000), saturated(300'000), saturated(400'000)}) ==
        2);
  CHECK(choose_slot(Slots{saturated(5'000, 9), saturated(9'000, 2), saturated(3'000, 4)}) == 1);
}

TEST_CASE("a little data in flight does not spread streams over sessions") {
  CHECK(choose_slot(Slots{free_slot(9'000), free_slot(0), kEmpty}) == 0);
}

TEST_CASE("where no session can be dialled, an open one is chosen") {
  CHECK(choose_open_slot(Slots{saturated(70'000), kEmpty, saturated(20'000)}) == 2);
  CHECK(choose_open_slot(Slots{saturated(0), free_slot(20'000), kEmpty}) == 1);
  CHECK(choose_open_slot(Slots{kEmpty, kEmpty}) == 2);
}

}  // namespace kcptun::slot_choice_test
