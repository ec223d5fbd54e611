#include "daemon/client/slot_choice.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "core/base/check.h"

namespace kcptun {
namespace {

// Bytes. Queues that differ by less are equally short: interactive streams always have a little in flight,
// and must not spread over sessions for it.
constexpr std::uint64_t kQueueStep = 16 * 1024;

std::optional<std::size_t> shortest_queue(std::span<const SlotLoad> slots, SlotLoad::State state) {
  std::optional<std::size_t> best;
  const auto rank = [&slots, state](std::size_t i) {
    const SlotLoad& slot = slots[i];
    return std::tuple(slot.queued / kQueueStep, state == SlotLoad::State::kSaturated ? slot.streams : 0, i);
  };
  for (std::size_t i = 0; i < slots.size(); ++i)
    if (slots[i].state == state && (!best || rank(i) < rank(*best))) best = i;
  return best;
}

}  // namespace

std::size_t choose_slot(std::span<const SlotLoad> slots) {
  KCPTUN_CHECK(!slots.empty());
  if (const auto free = shortest_queue(slots, SlotLoad::State::kFree)) return *free;
  const auto empty = std::ranges::find(slots, SlotLoad::State::kEmpty, &SlotLoad::state);
  if (empty != slots.end()) return static_cast<std::size_t>(empty - slots.begin());
  return choose_open_slot(slots);
}

std::size_t choose_open_slot(std::span<const SlotLoad> slots) {
  if (const auto free = shortest_queue(slots, SlotLoad::State::kFree)) return *free;
  return shortest_queue(slots, SlotLoad::State::kSaturated).value_or(slots.size());
}

}  // namespace kcptun
