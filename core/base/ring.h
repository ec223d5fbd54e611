// A window over consecutive sequence numbers: element sn is in slot sn & mask. Lookup is O(1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "core/base/check.h"

namespace kcptun {

/// Slots for sequence numbers in [base, base + capacity). Grows by doubling up to the requested capacity. The
/// caller tracks which slots are in use. Slots of T must be default-constructible and movable.
template <typename T>
class SequenceRing {
 public:
  std::size_t capacity() const { return capacity_; }

  T& operator[](std::uint32_t sn) { return slots_[sn & (capacity_ - 1)]; }
  const T& operator[](std::uint32_t sn) const { return slots_[sn & (capacity_ - 1)]; }

  /// Makes room for `count` numbers from `base` on; slots of [base, base + used) keep their content.
  void reserve(std::uint32_t base, std::size_t used, std::size_t count) {
    if (count <= capacity_) return;
    std::size_t bigger = capacity_ ? capacity_ : kSmallest;
    while (bigger < count) bigger *= 2;
    auto slots = std::make_unique<T[]>(bigger);
    for (std::size_t i = 0; i < used; ++i) {
      const auto sn = static_cast<std::uint32_t>(base + i);
      slots[sn & (bigger - 1)] = std::move((*this)[sn]);
    }
    slots_ = std::move(slots);
    capacity_ = bigger;
  }

  /// Frees the memory. REQUIRES: no slot is in use.
  void release() {
    slots_.reset();
    capacity_ = 0;
  }

 private:
  static constexpr std::size_t kSmallest = 16;
  std::unique_ptr<T[]> slots_;
  std::size_t capacity_ = 0;
};

}  // namespace kcptun
