// Commands against a send window and a simple model of it: a byte string, which segments were acknowledged,
// what each segment was when it first left.
#include <map>
#include <set>

#include "core/base/check.h"
#include "core/base/packet.h"
#include "core/kcp/send_window.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

constexpr std::size_t kSegment = 10;
constexpr std::size_t kMaxQueued = 4000;  // bytes

std::uint8_t stream_byte(std::size_t at) { return static_cast<std::uint8_t>(at * 131 + at / 256); }

class Model {
 public:
  Model(Input& input)
      : by_time_(input.u8() & 1),
        una_(input.u8() & 1 ? 0xfffffff0u : 0),
        next_(una_),
        rtt_(milliseconds(30), milliseconds(10)),
        tuning_(make_tuning(input)),
        window_(pool_, kSegment, tuning_, una_) {}

  void act(Input& input) {
    switch (input.u8() % 8) {
      case 0:
        return append(input.u8(), input.u8());
      case 1:
      case 2:
        return send(1 + input.u8() % 32, una_ + input.u8(),
                    input.u8() % 8 ? kSegment : input.u8() % kSegment);
      case 3:
        return acknowledge(una_ + input.u8() % 64, input.u8());
      case 4:
        return handle_una(una_ + input.near());
      case 5:
        return detect();
      case 6:
        now_ += milliseconds(input.u8() % 32);
        return;
      case 7:
        now_ += milliseconds(input.u16() % 4000);
        return detect();
    }
  }

  void check() {
    KCPTUN_CHECK(window_.una() == una_ && window_.next() == next_);
    KCPTUN_CHECK(window_.size() == window_.end() - una_ && window_.empty() == (window_.end() == una_));
    KCPTUN_CHECK(window_.in_flight() <= next_ - una_ - acked_.size());
    KCPTUN_CHECK(pool_.in_use() <= window_.size());
  }

  // Everything leaves and is acknowledged: the stream must have been whole.
  void finish() {
    for (int round = 0; round < 100000 && !window_.empty(); ++round) {
      send(64, window_.end(), kSegment);
      acknowledge(una_, 0);
      handle_una(una_ + 1);
    }
    KCPTUN_CHECK(window_.empty());
    KCPTUN_CHECK(sent_bytes_ == written_);
    KCPTUN_CHECK(pool_.in_use() == 0);
    KCPTUN_CHECK(window_.in_flight() == 0 && !window_.has_lost());
    window_.trim();
  }

 private:
  KcpTuning make_tuning(Input& input) const {
    KcpTuning tuning;
    tuning.no_congestion_control = by_time_;
    tuning.resend = input.u8() % 4u;
    tuning.nodelay = (input.u8() & 1) != 0;
    return tuning;
  }

  void append(std::size_t prepared, std::size_t committed) {
    if (written_ - sent_bytes_ > kMaxQueued) return;
    std::vector<MutableBytes> pieces;
    window_.prepare(prepared, pieces);
    std::size_t at = written_;
    for (const MutableBytes piece : pieces)
      for (std::uint8_t& byte : piece) byte = stream_byte(at++);
    KCPTUN_CHECK(at == written_ + prepared);
    committed = std::min(committed, prepared);
    window_.commit(committed);
    written_ += committed;
  }

  void send(std::uint32_t count, std::uint32_t limit, std::size_t room) {
    for (; count > 0; --count) {
      const std::optional<SendWindow::Transmission> copy = window_.poll_transmission(now_, limit, room);
      if (!copy) return;
      KCPTUN_CHECK(copy->data.size() <= room && copy->data.size() <= kSegment);
      KCPTUN_CHECK(copy->sn - una_ < window_.size() && !acked_.contains(copy->sn));
      std::vector<std::uint8_t> data(copy->data.begin(), copy->data.end());
      if (copy->sn == next_) {  // its first time: the stream goes on here
        KCPTUN_CHECK(copy->kind == SendWindow::Kind::kFirst && static_cast<std::int32_t>(limit - next_) > 0 &&
                     !data.empty());
        for (const std::uint8_t byte : data) KCPTUN_CHECK(byte == stream_byte(sent_bytes_++));
        segments_[next_++] = std::move(data);
      } else {
        KCPTUN_CHECK(copy->kind == SendWindow::Kind::kRetransmission && segments_.at(copy->sn) == data);
      }
    }
  }

  void acknowledge(std::uint32_t sn, std::uint8_t age) {
    const bool news = sn - una_ < next_ - una_ && !acked_.contains(sn);
    const SendWindow::AckResult result = window_.handle_ack(now_, sn, wire_ms(now_) - age);
    KCPTUN_CHECK(result.newly_acked == (news ? 1u : 0u));
    if (result.rtt) rtt_.add_sample(now_, *result.rtt);
    if (news) acked_.insert(sn);
  }

  void handle_una(std::uint32_t una) {
    const bool plausible = una - una_ <= next_ - una_;
    KCPTUN_CHECK(window_.plausible_una(una) == plausible);
    if (!plausible) return;
    std::uint32_t news = 0;
    for (std::uint32_t sn = una_; sn != una; ++sn) news += acked_.insert(sn).second;
    KCPTUN_CHECK(window_.handle_una(now_, una) == news);
    for (; una_ != una; ++una_) {
      acked_.erase(una_);
      segments_.erase(una_);
    }
  }

  void detect() {
    const auto due = window_.next_timeout(rtt_);
    window_.end_batch(now_, rtt_);
    const Losses losses = window_.handle_timeout(now_, rtt_);
    KCPTUN_CHECK(losses.timed_out == 0 || (!by_time_ && due && *due <= now_));
    KCPTUN_CHECK(!losses.probe_due || (by_time_ && due && *due <= now_));
  }

  BufferPool pool_{kMaxDatagram};
  const bool by_time_;
  std::uint32_t una_;
  std::uint32_t next_;
  RttEstimator rtt_;
  KcpTuning tuning_;
  SendWindow window_;
  TimePoint now_{seconds(100)};
  std::size_t written_ = 0;     // bytes committed
  std::size_t sent_bytes_ = 0;  // of them, in segments that have left
  std::map<std::uint32_t, std::vector<std::uint8_t>> segments_;
  std::set<std::uint32_t> acked_;  // at or above una_
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
