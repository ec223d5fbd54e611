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

// The largest first, which most often is the answer, or rules out most; then halves.
void PathMtu::search_on(TimePoint now) {
  if (size_ >= most_) return settle(now, now + kRaiseEvery);
  const std::uint32_t middle = size_ + (most_ - size_ + 1) / 2;
  begin(now, Phase::kSearch, most_tried_ ? middle : most_);
  most_tried_ = true;
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
  if (probes_ == 0) return;  // an answer to a probe that was given up, or a second one
  const bool others_out = probes_ > 1;
  if (phase_ == Phase::kSearch) size_ = candidate_;
  if (phase_ == Phase::kConfirm && raise_at_ > now) return settle(now, raise_at_);
  if (phase_ == Phase::kConfirm) {
    most_ = static_cast<std::uint32_t>(kMaxDatagram);
    most_tried_ = false;
  }
  search_on(now);
  // Their answers are not to be taken for those of the next size.
  if (others_out && phase_ == Phase::kSearch) due_at_ = now + last_wait_;
}

void PathMtu::handle_failure(TimePoint now) {
  if (phase_ == Phase::kConfirm) {  // all sizes are in doubt; this one is the first to be tried again
    most_ = size_;
    size_ = kFloor;
    most_tried_ = false;
    raise_at_ = now;
  } else {
    most_ = candidate_ - 1;
  }
  search_on(now);
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
    if (!heard_) {  // nothing at all comes through: that is no matter of sizes
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
