#include "core/probe/mtu_search.h"

#include <algorithm>

#include "core/base/check.h"

namespace kcptun {

MtuSearch::MtuSearch(std::uint32_t least, std::uint32_t most)
    : most_(most), passed_(least), failed_(most + 1) {
  KCPTUN_CHECK(least <= most);
  plan();
}

// Spaces sizes evenly between the bounds and always includes the largest untried size.
void MtuSearch::plan() {
  sizes_.clear();
  const std::uint32_t untried = failed_ - passed_ - 1;
  const std::uint32_t count = std::min(untried, kSizes);
  for (std::uint32_t i = 1; i <= count; ++i) sizes_.push_back(passed_ + untried * i / count);
}

void MtuSearch::handle_answer(std::uint32_t size) {
  if (std::ranges::find(sizes_, size) != sizes_.end()) passed_ = std::max(passed_, size);
}

void MtuSearch::finish_round() {
  const auto above = std::ranges::find_if(sizes_, [this](std::uint32_t size) { return size > passed_; });
  if (above != sizes_.end()) failed_ = *above;
  plan();
}

}  // namespace kcptun
