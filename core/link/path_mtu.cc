#include "core/link/path_mtu.h"

#include <algorithm>

namespace kcptun {

void PathMtu::begin(TimePoint now, Phase phase, std::uint32_t candidate) {
  phase_ = phase;
  candidate_ = candidate;
  probes_ = 0;
  due_at_ = now;
}

void PathMtu::handle_arrival(TimePoint now) {
  heard_ = true;
  if (!due_at_ && phase_ != Phase::kSettled) due_at_ = now;
}

// The largest size first, which passes most often, then bisection.
void PathMtu::continue_search(TimePoint now) {
  if (size_ >= max_) return settle(now, now + kRaiseEvery);
  const std::uint32_t middle = size_ + (max_ - size_ + 1) / 2;
  begin(now, Phase::kSearch, max_tried_ ? middle : max_);
  max_tried_ = true;
}

// Until `raise_at` the size is only confirmed.
void PathMtu::settle(TimePoint now, TimePoint raise_at) {
  phase_ = Phase::kSettled;
  probes_ = 0;
  used_ = false;
  raise_at_ = raise_at;
  due_at_ = now + kConfirmEvery;
}

void PathMtu::handle_answer(TimePoint now) {
  if (probes_ == 0) return;  // to a probe that has timed out, or a second answer
  const bool others_out = probes_ > 1;
  if (phase_ == Phase::kSearch) size_ = candidate_;
  if (phase_ == Phase::kConfirm && raise_at_ > now) return settle(now, raise_at_);
  if (phase_ == Phase::kConfirm) {
    max_ = static_cast<std::uint32_t>(kMaxDatagram);
    max_tried_ = false;
  }
  continue_search(now);
  // Their answers must not count for the next size.
  if (others_out && phase_ == Phase::kSearch) due_at_ = now + last_wait_;
}

void PathMtu::handle_failure(TimePoint now) {
  if (phase_ == Phase::kConfirm) {  // any size may have become too large; this one is tried first
    max_ = size_;
    size_ = kFloor;
    max_tried_ = false;
    raise_at_ = now;
  } else {
    max_ = candidate_ - 1;
  }
  continue_search(now);
}

std::optional<std::uint32_t> PathMtu::poll_probe(TimePoint now, Duration wait) {
  if (!due_at_ || now < *due_at_) return std::nullopt;
  if (phase_ == Phase::kSettled) {
    if (!used_ && now < raise_at_) {
      due_at_.reset();  // until large packets leave again
      return std::nullopt;
    }
    begin(now, Phase::kConfirm, size_);
  }
  if (probes_ >= kMaxProbes) {
    if (!heard_) {  // nothing passes: the size is not the reason
      probes_ = 0;
      due_at_.reset();
      return std::nullopt;
    }
    handle_failure(now);
    if (phase_ == Phase::kSettled) return std::nullopt;
  }
  ++probes_;
  heard_ = false;
  last_wait_ = std::max(wait, kMinWait);
  due_at_ = now + last_wait_;
  return candidate_;
}

}  // namespace kcptun
