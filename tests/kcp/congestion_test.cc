// KCP's own congestion window (nc 0), and which controller a tuning gets.
#include "core/kcp/congestion.h"

#include <catch2/catch.hpp>

namespace kcptun {
namespace {

std::unique_ptr<CongestionController> classic(std::uint32_t resend = 2) {
  KcpTuning tuning;
  tuning.no_congestion_control = false;
  tuning.resend = resend;
  return make_congestion_controller(tuning, 1350, 0);
}

/// So many segments are acknowledged.
void acknowledge(CongestionController& controller, std::uint32_t segments, std::uint32_t peer_window = 1000) {
  AckedBatch batch;
  batch.segments = segments;
  batch.peer_window = peer_window;
  controller.handle_batch(batch);
}

}  // namespace

TEST_CASE("the window starts at one and doubles each round trip, up to the peer's") {
  const auto controller = classic();
  CHECK(controller->window() == 1);
  for (std::uint32_t expected : {2u, 4u, 8u, 16u, 20u, 20u}) {
    acknowledge(*controller, controller->window(), 20);
    CHECK(controller->window() == expected);
  }
}

TEST_CASE("overtaken segments halve what was under way, and the window grows by one a round trip from there") {
  const auto controller = classic(2);
  acknowledge(*controller, 63);
  REQUIRE(controller->window() == 64);
  controller->on_packet_threshold_loss(40);
  CHECK(controller->window() == 20 + 2);
  acknowledge(*controller, 21);
  CHECK(controller->window() == 22);
  acknowledge(*controller, 1);
  CHECK(controller->window() == 23);
  controller->on_packet_threshold_loss(1);
  CHECK(controller->window() == 2 + 2);  // no less
}

TEST_CASE("a time-out starts again at one, and doubles up to half of before") {
  const auto controller = classic();
  acknowledge(*controller, 31);
  controller->on_retransmission_timeout();
  CHECK(controller->window() == 1);
  acknowledge(*controller, 15);
  CHECK(controller->window() == 16);
  acknowledge(*controller, 15);
  CHECK(controller->window() == 16);  // from here on by one
}

TEST_CASE("a reduction for a loss that was none is taken back") {
  const auto controller = classic();
  acknowledge(*controller, 31);
  SECTION("found by order") { controller->on_packet_threshold_loss(32); }
  SECTION("found by time") { controller->on_retransmission_timeout(); }
  REQUIRE(controller->window() < 32);
  controller->handle_spurious();
  CHECK(controller->window() == 32);
  acknowledge(*controller, 32);
  CHECK(controller->window() == 64);  // the slow start goes on
}

TEST_CASE("without congestion control nothing narrows the window") {
  KcpTuning tuning;
  tuning.no_congestion_control = GENERATE(false, true);
  tuning.congestion = Congestion::kOff;
  const auto controller = make_congestion_controller(tuning, 1350, 0);
  controller->on_packet_threshold_loss(100);
  controller->on_retransmission_timeout();
  controller->handle_spurious();
  CHECK(controller->window() == CongestionController::kNoWindow);
  CHECK(controller->byte_window() == CongestionController::kNoByteWindow);
  CHECK(controller->pacing_rate() == 0);
}

}  // namespace kcptun
