// options: --unwind 10 --unwinding-assertions --bounds-check
// smaller: core/link/replay_window s/kWords = 128/kWords = 8/; s/kSpan = 8128/kSpan = 448/
// CBMC: core/link/replay_window.cc takes each number once, and never refuses a new one within the span.
//
// The ring has 8 words in the proof (see "smaller"); with 128 the solver did not end in the 25 minutes tried.
// The number of words enters the source only as the modulus, and as the span, which is 64 numbers less than
// the ring.
//
// By induction over any sequence of mark(). `witness` is any number, and `marked` is whether it was ever
// marked; the window does not know them. The invariant relates them to the window's state. It holds at the
// start (step 1). If it holds before mark() of any fresh number, it holds after it (step 2). It decides what
// fresh() answers (step 3).
#define private public  // the proof looks at the state
#include "core/link/replay_window.cc"
#undef private

using kcptun::ReplayWindow;

std::uint64_t nondet_number();
bool nondet_bool();

// Packet numbers are below 2^63 (docs/develop/protocol.md sections 11 and 13). 2^64 - 1 would overflow end_.
const std::uint64_t kNumbers = 1ull << 63;

struct Ghost {
  std::uint64_t witness;
  bool marked;
};

bool bit_of(const ReplayWindow& window, std::uint64_t number) {
  return (window.seen_[number / 64 % ReplayWindow::kWords] >> number % 64 & 1) != 0;
}

bool is_newest_word(const ReplayWindow& window, std::uint64_t number) {
  return number / 64 == (window.end_ == 0 ? 0 : (window.end_ - 1) / 64);
}

bool invariant(const ReplayWindow& window, const Ghost& ghost) {
  if (window.end_ > kNumbers) return false;
  if (ghost.witness >=
      window.end_)  // bits beyond the end of the newest word are clear, for mark() does not clear it
    return !ghost.marked && (!is_newest_word(window, ghost.witness) || !bit_of(window, ghost.witness));
  return window.end_ - ghost.witness > ReplayWindow::kSpan || bit_of(window, ghost.witness) == ghost.marked;
}

bool fresh_as_specified(const ReplayWindow& window, const Ghost& ghost) {
  if (ghost.witness >= window.end_) return true;
  return window.end_ - ghost.witness <= ReplayWindow::kSpan && !ghost.marked;
}

void step_1_start() {
  ReplayWindow window;
  window.end_ = 0;
  Ghost ghost;
  ghost.witness = nondet_number();
  ghost.marked = false;
  __CPROVER_assume(ghost.witness < kNumbers);
  window.seen_[ghost.witness / 64 % ReplayWindow::kWords] = 0;
  __CPROVER_assert(invariant(window, ghost), "the invariant holds for an empty window");
}

void steps_2_and_3() {
  ReplayWindow window;  // CBMC takes any state
  Ghost ghost;
  ghost.witness = nondet_number();
  ghost.marked = nondet_bool();
  __CPROVER_assume(ghost.witness < kNumbers);
  __CPROVER_assume(invariant(window, ghost));
  __CPROVER_assert(window.fresh(ghost.witness) == fresh_as_specified(window, ghost),
                   "fresh() answers as specified");
  __CPROVER_assert(window.newest(ghost.witness) == (ghost.witness >= window.end()),
                   "newest() answers as specified");

  const std::uint64_t number = nondet_number();
  __CPROVER_assume(number < kNumbers);
  __CPROVER_assume(window.fresh(number));
  const std::uint64_t end = window.end();
  window.mark(number);
  if (number == ghost.witness) ghost.marked = true;
  __CPROVER_assert(invariant(window, ghost), "mark() keeps the invariant");
  __CPROVER_assert(!window.fresh(number), "no number is taken twice");
  __CPROVER_assert(window.end() == (number >= end ? number + 1 : end), "the window only moves forward");
  __CPROVER_assert(window.fresh(ghost.witness) == fresh_as_specified(window, ghost),
                   "fresh() answers so afterwards");
}

int main() {
  __CPROVER_assert(ReplayWindow::kSpan == 64 * (ReplayWindow::kWords - 1),
                   "CBMC reads the constant as compilers do");
  step_1_start();
  steps_2_and_3();
  return 0;
}
