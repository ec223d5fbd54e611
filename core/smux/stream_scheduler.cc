#include "core/smux/stream_scheduler.h"

#include <algorithm>

#include "core/base/check.h"

namespace kcptun {

void StreamScheduler::append(StreamTurn::Queue& queue, StreamTurn& turn) {
  turn.queue_ = &queue;
  turn.previous_ = queue.last;
  turn.next_ = nullptr;
  (queue.last ? queue.last->next_ : queue.first) = &turn;
  queue.last = &turn;
}

void StreamScheduler::unlink(StreamTurn& turn) {
  (turn.previous_ ? turn.previous_->next_ : turn.queue_->first) = turn.next_;
  (turn.next_ ? turn.next_->previous_ : turn.queue_->last) = turn.previous_;
  turn.queue_ = nullptr;
  turn.previous_ = turn.next_ = nullptr;
}

// Its credit is that of the next round, which begins when the first turn of that round is served.
void StreamScheduler::append_old(StreamTurn& turn) {
  turn.credit_ += kQuantum;
  turn.granted_round_ = round_ + 1;
  append(old_, turn);
}

void StreamScheduler::activate(StreamTurn& turn) {
  if (turn.active()) return;
  if (active_++ == 0) ++round_;  // none waits: a round is over
  if (turn.granted_round_ < round_) {
    turn.granted_round_ = round_;
    turn.credit_ = std::min<std::int64_t>(turn.credit_, 0) + kQuantum;
  }
  append(turn.granted_round_ == round_ ? new_ : old_, turn);
}

void StreamScheduler::deactivate(StreamTurn& turn) {
  if (!turn.active()) return;
  unlink(turn);
  --active_;
}

StreamTurn& StreamScheduler::next() {
  KCPTUN_CHECK(!empty());
  if (new_.first) return *new_.first;
  round_ = std::max(round_, old_.first->granted_round_);
  return *old_.first;
}

std::size_t StreamScheduler::allowance(const StreamTurn& turn) const {
  return static_cast<std::size_t>(active_ == 1 ? kAlone : std::max(turn.credit_, kMinTurn));
}

void StreamScheduler::record_sent(StreamTurn& turn, std::size_t bytes) {
  KCPTUN_CHECK(turn.active());
  // What it sent while nobody else waited costs it nothing later.
  turn.credit_ = active_ == 1 ? std::max<std::int64_t>(turn.credit_ - static_cast<std::int64_t>(bytes), 0)
                              : turn.credit_ - static_cast<std::int64_t>(bytes);
  if (turn.credit_ > 0) return;
  unlink(turn);
  append_old(turn);
}

}  // namespace kcptun
