#include "core/noise/session_keys.h"

#include <utility>

namespace kcptun::noise {

DataCipher& EpochKey::aes() {
  if (!aes_) aes_ = make_(chain_.aes_key().bytes());
  return *aes_;
}

void EpochKey::seal(std::uint64_t counter, Bytes associated, MutableBytes message) {
  if (make_) return aes().seal(counter, associated, message);
  chain_.seal(counter, associated, message);
}

bool EpochKey::open(std::uint64_t counter, Bytes associated, MutableBytes message) {
  return make_ ? aes().open(counter, associated, message) : chain_.open(counter, associated, message);
}

void EpochKey::rekey() {
  chain_.rekey();
  trim();
}

std::uint8_t SendingKey::prepare(TimePoint now) {
  if (now - since_ < kRenewAfter && sealed_ < renew_after_) return epoch_;
  key_.rekey();
  since_ = now;
  sealed_ = 0;
  return ++epoch_;
}

void SendingKey::seal(std::uint64_t counter, Bytes associated, MutableBytes message) {
  ++sealed_;
  key_.seal(counter, associated, message);
}

bool ReceivingKeys::open(TimePoint now, std::uint8_t epoch, std::uint64_t counter, Bytes associated,
                         MutableBytes message) {
  handle_timeout(now);
  const auto ahead = static_cast<std::uint8_t>(epoch - epoch_);
  if (ahead == 0) return current_.open(counter, associated, message);
  if (ahead == 0xff) return previous_ && previous_->open(counter, associated, message);
  if (ahead > kMaxEpochsAhead) return false;
  CipherState before = current_.chain();
  for (std::uint8_t step = 1; step < ahead; ++step) before.rekey();
  EpochKey next(before, make_);
  next.rekey();
  if (!next.open(counter, associated, message)) return false;
  previous_.emplace(before, make_);
  current_ = std::move(next);
  epoch_ = epoch;
  wipe_previous_at_ = now + kKeepPreviousKey;
  return true;
}

}  // namespace kcptun::noise
