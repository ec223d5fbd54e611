#include "core/probe/mtu_search.h"

#include <algorithm>

#include "core/base/check.h"

namespace kcptun {

MtuSearch::MtuSearch(std::uint32_t min, std::uint32_t max)
    : max_(max), largest_passed_(min), smallest_failed_(max + 1) {
  KCPTUN_CHECK(min <= max);
  plan();
}

// Spaces sizes evenly between the bounds and always includes the largest untried size.
void MtuSearch::plan() {
  sizes_.clear();
  const std::uint32_t untried = smallest_failed_ - largest_passed_ - 1;
  const std::uint32_t count = std::min(untried, kSizes);
  for (std::uint32_t i = 1; i <= count; ++i) sizes_.push_back(largest_passed_ + untried * i / count);
}

void MtuSearch::handle_answer(std::uint32_t size) {
  if (std::ranges::find(sizes_, size) != sizes_.end()) largest_passed_ = std::max(largest_passed_, size);
}

void MtuSearch::finish_round() {
  const auto above =
      std::ranges::find_if(sizes_, [this](std::uint32_t size) { return size > largest_passed_; });
  if (above != sizes_.end()) smallest_failed_ = *above;
  plan();
}

}  // namespace kcptun
