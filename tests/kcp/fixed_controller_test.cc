// --cc fixed: the controller by its events, and a sender that has it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "core/kcp/congestion.h"
#include "core/kcp/congestion_table.h"
#include "core/kcp/kcp.h"

namespace kcptun::fixed_controller_test {
namespace {

constexpr std::uint64_t kPacket = 1350;
constexpr std::uint64_t kRate = 1'000'000;
const TimePoint kStart{seconds(100)};

KcpTuning fixed_tuning() {
  KcpTuning tuning = kModePresets[3].tuning;  // fast3
  tuning.congestion = {"fixed"};
  tuning.rate = kRate;
  return tuning;
}

std::unique_ptr<CongestionController> fixed_controller() {
  return make_congestion_controller(fixed_tuning(), kPacket, 0);
}

void acknowledge(CongestionController& controller, Duration rtt) {
  AckedEvent acked;
  acked.rtt = rtt;
  controller.on_acked(acked);
}

/// A sender with data without end, and its receiver, over a path that takes 25 ms each way and drops a tenth.
class LossyPair {
 public:
  void run(Duration time) {
    for (const TimePoint end = now_ + time; now_ < end; now_ += milliseconds(1)) {
      deliver(to_receiver_, receiver_);
      deliver(to_sender_, sender_);
      while (const auto piece = receiver_.read()) received += piece->data.size();
      write();
      sent += send(sender_, to_receiver_);
      send(receiver_, to_sender_);
    }
  }

  std::uint64_t sent = 0;      // bytes of packets
  std::uint64_t received = 0;  // bytes of the stream

 private:
  struct Packet {
    TimePoint at;
    std::vector<std::uint8_t> bytes;
  };

  static KcpSettings settings() {
    KcpSettings settings;
    settings.tuning = fixed_tuning();
    settings.send_window = settings.receive_window = 1024;
    return settings;
  }
  void write() {
    const std::size_t room = sender_.send_room();
    if (room == 0) return;
    std::vector<MutableBytes> pieces;
    sender_.prepare(room, pieces);
    for (const MutableBytes piece : pieces) std::fill(piece.begin(), piece.end(), std::uint8_t{7});
    sender_.commit(room);
  }
  std::uint64_t send(Kcp& from, std::deque<Packet>& path) {
    std::uint64_t bytes = 0;
    std::vector<std::uint8_t> packet(kMaxDatagram);
    from.handle_timeout(now_);
    while (const std::size_t size = from.poll_packet(now_, packet.data())) {
      bytes += size;
      if (random_.below(10) > 0)
        path.push_back(
            {now_ + milliseconds(25), {packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size)}});
    }
    return bytes;
  }
  void deliver(std::deque<Packet>& path, Kcp& to) {
    std::vector<Packet> arrived;  // segments refer to their packets until the batch ends
    for (; !path.empty() && path.front().at <= now_; path.pop_front())
      arrived.push_back(std::move(path.front()));
    for (const Packet& packet : arrived) to.handle_packet(now_, packet.bytes, Kcp::Origin::kArrived);
    if (!arrived.empty()) to.end_batch(now_);
  }

  BufferPool pool_{kMaxDatagram};
  Kcp sender_{1, settings(), kPacket, pool_};
  Kcp receiver_{1, settings(), kPacket, pool_};
  std::deque<Packet> to_receiver_, to_sender_;
  Random random_{1};
  TimePoint now_ = kStart;
};

}  // namespace

TEST_CASE("a fixed controller sends at its rate, whatever is lost") {
  const auto controller = fixed_controller();
  CHECK(controller->pacing_rate() == kRate);
  acknowledge(*controller, milliseconds(100));
  const std::uint64_t window = controller->window();
  controller->on_lost({100, 100, window});
  controller->on_timeout();
  acknowledge(*controller, milliseconds(100));
  CHECK(controller->pacing_rate() == kRate);
  CHECK(controller->window() == window);
}

TEST_CASE("its window is two round trips' worth of the rate, and at least 32 packets") {
  const auto controller = fixed_controller();
  CHECK(controller->window() == 32 * kPacket);
  acknowledge(*controller, milliseconds(100));
  CHECK(controller->window() == 200'000);
  for (int i = 0; i < 100; ++i) acknowledge(*controller, milliseconds(500));  // the path has become longer
  CHECK(controller->window() == Approx(1'000'000).epsilon(0.01));
  controller->on_path_changed();
  CHECK(controller->window() == 32 * kPacket);
  controller->on_mtu_changed(500);
  CHECK(controller->window() == 32 * 500);
}

TEST_CASE("a reload changes its rate, but a limit that is taken away leaves the rate as it was") {
  const auto controller = fixed_controller();
  controller->on_rate_limit_changed(2 * kRate);
  CHECK(controller->pacing_rate() == 2 * kRate);
  controller->on_rate_limit_changed(0);
  CHECK(controller->pacing_rate() == 2 * kRate);
}

TEST_CASE("a sender with a fixed rate uses all of it on a path that loses a tenth, and no more") {
  LossyPair pair;
  pair.run(seconds(1));
  const std::uint64_t sent = pair.sent, received = pair.received;
  pair.run(seconds(10));
  CHECK(pair.sent - sent == Approx(10 * kRate).epsilon(0.02));
  // A tenth is lost, and 24 of 1350 bytes are the header.
  CHECK(pair.received - received >= 10 * kRate * 85 / 100);
}

}  // namespace kcptun::fixed_controller_test
