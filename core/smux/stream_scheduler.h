// Which stream of a session may send next, and how much.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kcptun {

class StreamScheduler;

/// A stream's place in its session's StreamScheduler. Its owner embeds it and must remove() it before it is
/// destroyed. Not copyable: the scheduler links it.
class StreamTurn {
 public:
  StreamTurn() = default;
  StreamTurn(const StreamTurn&) = delete;
  StreamTurn& operator=(const StreamTurn&) = delete;

  /// True while the stream has something to send.
  bool active() const { return queue_ != nullptr; }

 private:
  friend class StreamScheduler;
  struct Queue {
    StreamTurn* first = nullptr;
    StreamTurn* last = nullptr;
  };

  Queue* queue_ = nullptr;
  StreamTurn* previous_ = nullptr;
  StreamTurn* next_ = nullptr;
  std::int64_t credit_ = 0;          // bytes; negative: debt of the last turn
  std::uint64_t granted_round_ = 0;  // the round that the credit belongs to; 0: none yet
};

/// Deficit round robin with priority for new flows, as in FQ-CoDel (RFC 8290 section 4.2). A round gives each
/// stream kQuantum bytes. A stream that becomes active while it has credit of this round is new: it is served
/// before the old ones. Once its credit is used up, it is old, and waits for its turn. So a stream that sends
/// less than its share per round is always served first, and streams that send all the time share equally in
/// bytes.
///
/// One difference from the RFC: a stream that becomes active again keeps the rest of its credit for the
/// round, and stays new. RFC 8290 makes it old, and it then waits for all bulk streams once per round.
///
/// Does not own the turns; allocates nothing; all operations are O(1). The caller activates a turn when its
/// stream has something to send, then repeats: next(), send up to allowance(), record_sent() or deactivate().
class StreamScheduler {
 public:
  /// Bytes per stream and round. Smaller: more system calls per byte. Larger: a burst of a new stream delays
  /// others for longer, and a round of many bulk streams takes longer.
  static constexpr std::int64_t kQuantum = 16 * 1024;
  /// Bytes. The least allowance of a turn, which may go into debt for it: a system call for less is a waste.
  static constexpr std::int64_t kMinTurn = 4 * 1024;
  /// Bytes. Allowance while no other stream is active: large reads save system calls.
  static constexpr std::int64_t kAlone = 64 * 1024;

  StreamScheduler() = default;
  StreamScheduler(const StreamScheduler&) = delete;
  StreamScheduler& operator=(const StreamScheduler&) = delete;

  bool empty() const { return active_ == 0; }
  /// Streams that have something to send.
  std::size_t active() const { return active_; }

  /// The stream has something to send. No effect if it is active.
  void activate(StreamTurn& turn);
  /// The stream has nothing to send, or cannot send, or is over. No effect if it is not active.
  void deactivate(StreamTurn& turn);

  /// The stream that sends next. REQUIRES: !empty().
  StreamTurn& next();
  /// Bytes that `turn`, which next() returned, may send now: at least 1.
  std::size_t allowance(const StreamTurn& turn) const;
  /// The stream sent `bytes`. It stays active.
  void record_sent(StreamTurn& turn, std::size_t bytes);

 private:
  static void append(StreamTurn::Queue& queue, StreamTurn& turn);
  static void unlink(StreamTurn& turn);
  void append_old(StreamTurn& turn);

  StreamTurn::Queue new_;
  StreamTurn::Queue old_;
  std::size_t active_ = 0;
  std::uint64_t round_ = 1;
};

}  // namespace kcptun
