#include "core/link/shared_rate.h"

#include <algorithm>
#include <cmath>

namespace kcptun {
namespace {

// Longer waits make no difference that a timer could tell.
constexpr double kMaxTurnsWaited = 1000;

constexpr double in_us(SharedRate::Credit credit) { return static_cast<double>(credit.count()) * 1e-3; }
constexpr double in_turns(SharedRate::Credit credit) { return in_us(credit) / in_us(SharedRate::kTurn); }

}  // namespace

SharedRate::Credit SharedRate::credit(TimePoint now) const {
  return std::min(kMaxCredit, Credit(to_ns(now) - empty_at_ns_.load(std::memory_order_relaxed)));
}

SharedRate::Credit SharedRate::charge(TimePoint now, std::size_t bytes) {
  const std::uint64_t rate = rate_.load(std::memory_order_relaxed);
  if (rate == 0) return Credit::zero();
  const Credit cost(static_cast<std::int64_t>(static_cast<double>(bytes) * 1e9 / static_cast<double>(rate)));
  const std::int64_t least = to_ns(now) - kMaxCredit.count();
  std::int64_t before = empty_at_ns_.load(std::memory_order_relaxed);
  while (!empty_at_ns_.compare_exchange_weak(before, std::max(before, least) + cost.count(),
                                             std::memory_order_relaxed)) {
  }
  return cost;
}

// The credit at which a turn begins is, in turns, 1 + 1 / (1 + turns waited).
bool RateTurn::allows(TimePoint now) {
  if (!rate_->limits()) return true;
  const Credit credit = rate_->credit(now);
  if (taken_) {
    if (now >= began_ + SharedRate::kMaxCredit) {  // so slow a session takes nothing from others
      taken_ = Credit::zero();
      began_ = now;
    }
    if (*taken_ < SharedRate::kTurn && credit > Credit::zero()) return true;
    if (*taken_ >= SharedRate::kTurn) last_ended_ = now;
    taken_.reset();
  }
  const double above = in_turns(credit) - 1;
  const double waited = 1 + turns_waited(now);
  if (above * waited < 1) {
    // Both grow alike: (above + x) * (waited + x) = 1.
    const double left = (std::hypot(above - waited, 2) - above - waited) / 2;
    ready_at_ = now + Duration(1 + static_cast<std::int64_t>(left * in_us(SharedRate::kTurn)));
    return false;
  }
  taken_ = Credit::zero();
  began_ = now;
  return true;
}

double RateTurn::turns_waited(TimePoint now) const {
  if (!last_ended_) return kMaxTurnsWaited;
  return std::min(kMaxTurnsWaited, in_turns(Credit(std::max(now - *last_ended_, Duration::zero()))));
}

void RateTurn::charge(TimePoint now, std::size_t bytes) {
  const Credit cost = rate_->charge(now, bytes);
  if (taken_) *taken_ += cost;
}

}  // namespace kcptun
