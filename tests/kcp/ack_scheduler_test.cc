#include "core/kcp/ack_scheduler.h"

#include <catch2/catch.hpp>
#include <vector>

namespace kcptun::ack_scheduler_test {
namespace {

constexpr Duration kMinRtt = milliseconds(50);
const TimePoint kStart{seconds(100)};

struct Fixture {
  explicit Fixture(std::uint32_t window) : receive(pool, window), acks(window) {}
  void receive_segments(std::uint32_t count) {
    for (; count > 0; --count) receive.handle_push(receive.next(), data);
    receive.end_batch();
  }
  void read(std::uint32_t count) {
    for (; count > 0; --count) receive.read();
  }

  std::vector<std::uint8_t> data{1, 2, 3};
  BufferPool pool{64};
  ReceiveWindow receive;
  AckScheduler acks;
};

}  // namespace

TEST_CASE("a duplicate needs no acknowledgement while the peer cannot have seen the last one") {
  Fixture f(16);
  f.receive_segments(2);
  CHECK_FALSE(f.acks.ack_in_flight(kStart, 0, kMinRtt));  // nothing was advertised
  f.acks.handle_sent(kStart, f.receive);
  CHECK(f.acks.ack_in_flight(kStart + kMinRtt - Duration(1), 1, kMinRtt));
  CHECK_FALSE(f.acks.ack_in_flight(kStart + kMinRtt, 1, kMinRtt));
  CHECK_FALSE(f.acks.ack_in_flight(kStart, 2, kMinRtt));      // una does not cover it
  CHECK_FALSE(f.acks.ack_in_flight(kStart, 1, Duration(0)));  // no RTT is known
}

TEST_CASE(
    "a closed window that is half open again is advertised without a request, in a packet that has nothing "
    "else") {
  Fixture f(16);
  f.receive_segments(14);
  f.acks.handle_sent(kStart, f.receive);  // 2 of 16: closed
  f.read(5);
  CHECK_FALSE(f.acks.window_update_due(0, f.receive));
  f.read(1);
  CHECK(f.acks.window_update_due(0, f.receive));
  CHECK_FALSE(f.acks.window_update_due(kSegmentHeader, f.receive));  // what is in the packet advertises it
  f.acks.handle_sent(kStart, f.receive);
  CHECK_FALSE(f.acks.window_update_due(0, f.receive));
}

TEST_CASE("a window that was not closed is not advertised without a request") {
  Fixture f(16);
  f.receive_segments(13);
  f.acks.handle_sent(kStart, f.receive);
  f.read(13);
  CHECK_FALSE(f.acks.window_update_due(0, f.receive));
}

TEST_CASE("a requested window update is due once, whatever the packet has already") {
  Fixture f(16);
  f.acks.request_window_update();
  f.acks.request_window_update();
  CHECK(f.acks.window_update_due(kSegmentHeader, f.receive));
  f.acks.handle_window_update_sent();
  CHECK_FALSE(f.acks.window_update_due(0, f.receive));
}

}  // namespace kcptun::ack_scheduler_test
