#include "core/kcp/receive_window.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/serial.h"

namespace kcptun {

ReceiveWindow::Verdict ReceiveWindow::handle_push(std::uint32_t sn, Bytes data) {
  const std::int32_t ahead = serial_diff(sn, next_);
  if (ahead >= 0 && static_cast<std::uint32_t>(ahead) >= window_) return Verdict::kOutOfWindow;
  if (ahead < 0) return Verdict::kDuplicate;
  KCPTUN_CHECK(data.size() <= pool_.buffer_size());

  const std::uint32_t used = highest_ - read_;
  ring_.reserve(read_, used, std::max(used, sn + 1 - read_));
  Slot& slot = ring_[sn];
  if (serial_less(sn, highest_) && slot.data) return Verdict::kDuplicate;
  for (; serial_less(highest_, sn + 1); ++highest_) ring_[highest_] = Slot{};
  slot.data =
      data.data() ? data.data() : reinterpret_cast<const std::uint8_t*>(this);  // empty data is data too
  slot.length = static_cast<std::uint16_t>(data.size());
  views_.push_back(sn);
  advance();
  return Verdict::kNew;
}

// The reader's share is bounded: rcv_nxt stops when `window_` segments wait, and the peer sees a window of 0.
void ReceiveWindow::advance() {
  while (next_ != highest_ && next_ - read_ < window_ && ring_[next_].data) ++next_;
}

std::optional<ReceiveWindow::Piece> ReceiveWindow::read() {
  if (!readable()) return std::nullopt;
  Slot& slot = ring_[read_];
  // The arena belongs to the daemon and is writable; core hands it on as it came.
  Piece piece{{const_cast<std::uint8_t*>(slot.data), slot.length}, std::move(slot.buffer)};
  slot.data = nullptr;
  ++read_;
  advance();
  return piece;
}

void ReceiveWindow::end_batch() {
  for (const std::uint32_t sn : views_) {
    if (serial_less(sn, read_)) continue;
    Slot& slot = ring_[sn];
    if (!slot.data || slot.buffer) continue;
    slot.buffer = PoolBuffer(pool_);
    if (slot.length > 0) std::memcpy(slot.buffer.data(), slot.data, slot.length);
    slot.data = slot.buffer.data();
  }
  views_.clear();
}

void ReceiveWindow::set_window(std::uint32_t window) {
  window_ = std::max(window, next_ - read_);
  advance();
}

void ReceiveWindow::trim() {
  if (read_ != highest_) return;
  ring_.release();
  views_.shrink_to_fit();
}

}  // namespace kcptun
