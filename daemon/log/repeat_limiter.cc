#include "daemon/log/repeat_limiter.h"

#include <limits>

namespace kcptun {

bool RepeatLimiter::admit(std::string_view kind, TimePoint now) {
  auto it = kinds_.find(kind);
  if (it == kinds_.end()) {
    if (kinds_.size() >= kMaxKinds) return true;
    it = kinds_.emplace(std::string(kind), Kind{now + kPeriod}).first;
    next_end_ = earliest(next_end_, it->second.ends);
  }
  return ++it->second.lines <= kBurst;
}

std::vector<RepeatLimiter::Omitted> RepeatLimiter::take_finished(TimePoint now) {
  std::vector<Omitted> omitted;
  if (!next_end_ || now < *next_end_) return omitted;
  next_end_.reset();
  std::erase_if(kinds_, [&](const auto& entry) {
    const auto& [name, kind] = entry;
    if (now < kind.ends) {
      next_end_ = earliest(next_end_, kind.ends);
      return false;
    }
    if (kind.lines > kBurst) omitted.push_back({name, kind.lines - kBurst});
    return true;
  });
  return omitted;
}

std::vector<RepeatLimiter::Omitted> RepeatLimiter::take_all() {
  return take_finished(TimePoint(Duration(std::numeric_limits<Duration::rep>::max())));
}

}  // namespace kcptun
