// The receiving side's segments: those in order that wait for the reader, and those beyond a gap.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/bytes.h"
#include "core/base/ring.h"

namespace kcptun {

/// Segments [read, next) are in order and wait for the reader; those in [next, next + window) may have
/// arrived or not. Both kinds are views into the receive arena until end_batch() copies those that were not
/// read: in-order traffic whose reader keeps up is never copied. Memory is bounded by twice `window`
/// segments.
class ReceiveWindow {
 public:
  enum class Verdict : std::uint8_t { kNew, kDuplicate, kOutOfWindow };
  /// A piece of the stream. `buffer` is set when the view points into it, and keeps it alive.
  struct Piece {
    MutableBytes data;
    PoolBuffer buffer;
  };

  /// `pool` outlives the window. `first_sn` other than 0 is for tests.
  ReceiveWindow(BufferPool& pool, std::uint32_t window, std::uint32_t first_sn = 0)
      : pool_(pool), window_(window), read_(first_sn), next_(first_sn), highest_(first_sn) {}
  ReceiveWindow(const ReceiveWindow&) = delete;
  ReceiveWindow& operator=(const ReceiveWindow&) = delete;

  /// A segment arrived. `data` must stay valid until end_batch(). REQUIRES: it fits into a pool buffer, as
  /// each packet does.
  Verdict handle_push(std::uint32_t sn, Bytes data);
  /// The next piece of the stream.
  std::optional<Piece> read();
  bool readable() const { return read_ != next_; }
  /// Copies the segments that are still views.
  void end_batch();

  /// All below have arrived (goes out as una).
  std::uint32_t next() const { return next_; }
  /// Segments that the peer may have past una (goes out as wnd).
  std::uint32_t free() const { return window_ - (next_ - read_); }
  std::uint32_t window() const { return window_; }
  /// True if `sn` is in the window, and beyond all that has arrived.
  bool is_ahead(std::uint32_t sn) const { return sn - next_ < window_ && sn - next_ >= highest_ - next_; }
  void set_window(std::uint32_t window);
  /// Frees idle memory if no segment is held.
  void trim();

 private:
  struct Slot {
    const std::uint8_t* data = nullptr;  // nullptr: not arrived
    std::uint16_t length = 0;
    PoolBuffer buffer;  // set once copied
  };

  void advance();

  BufferPool& pool_;
  std::uint32_t window_;
  SequenceRing<Slot> ring_;
  std::vector<std::uint32_t> views_;  // sn whose slots are views, unless read since
  std::uint32_t read_ = 0;
  std::uint32_t next_ = 0;
  std::uint32_t highest_ = 0;  // behind the highest sn that arrived: slots of [read_, highest_) may be in use
};

}  // namespace kcptun
