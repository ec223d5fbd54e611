// Where a new stream goes with `conn auto`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kcptun {

/// What a session slot can offer to a new stream.
struct SlotLoad {
  enum class State : std::uint8_t {
    kEmpty,      // no session, or one that may be dead
    kFree,       // its session is not saturated
    kSaturated,  // new streams would stand behind bulk data
  };
  State state = State::kEmpty;
  std::uint64_t queued = 0;  // bytes in the session that the peer has not acknowledged
  std::size_t streams = 0;
};

/// The slot for a new stream: of the free ones the one with the shortest queue, and of several the first, so
/// that further sessions become idle and can be closed. If all open sessions are saturated: the first empty
/// slot, whose session is then dialled. If none is empty: the saturated one with the shortest queue, and of
/// several the one with the fewest streams. REQUIRES: slots is not empty.
std::size_t choose_slot(std::span<const SlotLoad> slots);

/// The saturated or free slot with the shortest queue; slots.size() if all are empty.
std::size_t choose_open_slot(std::span<const SlotLoad> slots);

}  // namespace kcptun
