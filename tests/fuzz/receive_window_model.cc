// Commands against a receive window and a simple model of it: a map of what arrived.
#include <map>

#include "core/base/check.h"
#include "core/base/packet.h"
#include "core/kcp/receive_window.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

using Buffer = std::vector<std::uint8_t>;

class Model {
 public:
  Model(Input& input)
      : limit_(1 + input.u8() % 64),
        read_(input.u8() & 1 ? 0xfffffff8u : 0),
        next_(read_),
        window_(pool_, limit_, read_) {}

  void act(Input& input) {
    switch (input.u8() % 6) {
      case 0:
      case 1:
      case 2:
        return push(next_ + input.near(), Buffer(input.u8() % 40, input.u8()));
      case 3:
        return read(1 + input.u8() % 8);
      case 4:
        return end_batch();
      case 5:
        return resize(1 + input.u8() % 64);
    }
  }

  void check() {
    KCPTUN_CHECK(window_.next() == next_ && window_.window() == limit_);
    KCPTUN_CHECK(window_.free() == limit_ - (next_ - read_));
    KCPTUN_CHECK(window_.readable() == (read_ != next_));
    KCPTUN_CHECK(pool_.in_use() <= arrived_.size());
  }

  void finish() {
    end_batch();
    read(1000);
    window_.trim();
    KCPTUN_CHECK(pool_.in_use() <= arrived_.size());
  }

 private:
  void push(std::uint32_t sn, Buffer data) {
    const auto ahead = static_cast<std::int32_t>(sn - next_);
    ReceiveWindow::Verdict expected = ReceiveWindow::Verdict::kNew;
    if (ahead < 0 || arrived_.contains(sn)) expected = ReceiveWindow::Verdict::kDuplicate;
    if (ahead >= static_cast<std::int32_t>(limit_)) expected = ReceiveWindow::Verdict::kOutOfWindow;
    batch_.push_back(data);
    KCPTUN_CHECK(window_.handle_push(sn, batch_.back()) == expected);
    if (expected == ReceiveWindow::Verdict::kNew) arrived_[sn] = std::move(data);
    advance();
  }

  void advance() {
    while (next_ - read_ < limit_ && arrived_.contains(next_)) ++next_;
  }

  void read(std::uint32_t count) {
    for (; count > 0; --count) {
      const std::optional<ReceiveWindow::Piece> piece = window_.read();
      KCPTUN_CHECK(piece.has_value() == (read_ != next_));
      if (!piece) return;
      KCPTUN_CHECK(std::ranges::equal(piece->data, arrived_.at(read_)));
      arrived_.erase(read_++);
      advance();
    }
  }

  void end_batch() {
    window_.end_batch();
    batch_.clear();
  }

  void resize(std::uint32_t limit) {
    end_batch();
    window_.set_window(limit);
    limit_ = std::max(limit, next_ - read_);
    advance();
  }

  BufferPool pool_{kMaxDatagram};
  std::uint32_t limit_;
  std::uint32_t read_;
  std::uint32_t next_;
  ReceiveWindow window_;
  std::map<std::uint32_t, Buffer> arrived_;  // not yet read
  std::vector<Buffer> batch_;                // freed at its end: who still looks is found
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  Model model(input);
  while (!input.empty()) {
    model.act(input);
    model.check();
  }
  model.finish();
  return 0;
}
