// KCP's own congestion window (nc 0), and which controller a row of the table makes.
#include "core/kcp/congestion.h"

#include <catch2/catch.hpp>

#include "core/kcp/congestion_table.h"

namespace kcptun::congestion_test {
namespace {

constexpr std::uint64_t kPacket = 1350;
constexpr std::uint64_t kPeerWindow = 1000;  // packets

std::unique_ptr<CongestionController> kcp_controller(std::uint32_t resend = 2) {
  KcpTuning tuning;
  tuning.no_congestion_control = false;
  tuning.resend = resend;
  return make_congestion_controller(tuning, kPacket, 0);
}

void acknowledge(CongestionController& controller, std::uint32_t packets,
                 std::uint64_t peer_window = kPeerWindow) {
  AckedEvent acked;
  acked.packets = packets;
  acked.peer_window = peer_window * kPacket;
  controller.on_acked(acked);
}

/// A batch that acknowledges `packets`, and shows that of `in_flight` packets one was lost.
void lose(CongestionController& controller, std::uint64_t in_flight, std::uint32_t packets = 0) {
  controller.on_lost({1, 1, in_flight * kPacket});
  acknowledge(controller, packets);
}

std::uint32_t packets_of(const CongestionController& controller) { return controller.send_limit(kPacket); }

}  // namespace

TEST_CASE("the window starts at one packet and doubles each round trip, up to the peer's") {
  const auto controller = kcp_controller();
  CHECK(controller->window() == kPacket);
  for (std::uint32_t expected : {2u, 4u, 8u, 16u, 20u, 20u}) {
    acknowledge(*controller, packets_of(*controller), 20);
    CHECK(packets_of(*controller) == expected);
    CHECK(controller->window() == expected * kPacket);
  }
}

TEST_CASE("a loss halves what was in flight, and the window grows by one packet a round trip from there") {
  const auto controller = kcp_controller(2);
  acknowledge(*controller, 63);
  REQUIRE(packets_of(*controller) == 64);
  lose(*controller, 40);
  CHECK(packets_of(*controller) == 20 + 2);
  acknowledge(*controller, 21);
  CHECK(packets_of(*controller) == 22);
  acknowledge(*controller, 1);
  CHECK(packets_of(*controller) == 23);
  lose(*controller, 1);
  CHECK(packets_of(*controller) == 2 + 2);  // the minimum
}

TEST_CASE("what a batch acknowledges counts before the loss that it reveals") {
  const auto controller = kcp_controller(2);
  lose(*controller, 40, 63);
  CHECK(packets_of(*controller) == 20 + 2);
  controller->on_spurious();
  CHECK(packets_of(*controller) == 64);
}

TEST_CASE("a time-out starts again at one packet, and doubles up to half of before") {
  const auto controller = kcp_controller();
  acknowledge(*controller, 31);
  controller->on_timeout();
  CHECK(packets_of(*controller) == 1);
  acknowledge(*controller, 15);
  CHECK(packets_of(*controller) == 16);
  acknowledge(*controller, 15);
  CHECK(packets_of(*controller) == 16);  // from here on by one
}

TEST_CASE("a reduction for a spurious loss is taken back") {
  const auto controller = kcp_controller();
  acknowledge(*controller, 31);
  SECTION("found by order") { lose(*controller, 32); }
  SECTION("found by time") { controller->on_timeout(); }
  REQUIRE(packets_of(*controller) < 32);
  controller->on_spurious();
  CHECK(packets_of(*controller) == 32);
  acknowledge(*controller, 32);
  CHECK(packets_of(*controller) == 64);  // slow start goes on
}

TEST_CASE("another packet size keeps the number of packets") {
  const auto controller = kcp_controller();
  acknowledge(*controller, 31);
  controller->on_mtu_changed(500);
  CHECK(controller->window() == 32 * 500);
  CHECK(controller->send_limit(500) == 32);
  controller->on_spurious();  // what was remembered has changed with it
  CHECK(controller->window() == 32 * 500);
}

TEST_CASE("on another path the window starts again, and has forgotten the old one") {
  const auto controller = kcp_controller();
  acknowledge(*controller, 31);
  controller->on_timeout();
  controller->on_path_changed();
  CHECK(controller->window() == kPacket);
  controller->on_spurious();
  CHECK(controller->window() == kPacket);
  acknowledge(*controller, 63);
  CHECK(packets_of(*controller) == 64);  // no threshold
}

TEST_CASE("KCP's window limits segments from una on, and no bytes in flight") {
  const auto controller = kcp_controller();
  CHECK(controller->in_flight_limit() == CongestionController::kUnlimited);
  CHECK(controller->send_limit(kPacket) == 1);
}

TEST_CASE("without congestion control nothing narrows the window") {
  KcpTuning tuning;
  tuning.no_congestion_control = GENERATE(false, true);
  tuning.congestion = Congestion::kOff;
  const auto controller = make_congestion_controller(tuning, kPacket, 0);
  lose(*controller, 100);
  controller->on_timeout();
  controller->on_spurious();
  CHECK(controller->send_limit(kPacket) == CongestionController::kAllSegments);
  CHECK(controller->in_flight_limit() == CongestionController::kUnlimited);
  CHECK(controller->pacing_rate() == 0);
}

TEST_CASE("each row of the table makes a controller, and has a name and a help of its own") {
  for (const CongestionRow& row : congestion_table()) {
    INFO(row.name);
    CHECK(find_congestion(row.name) == &row);
    CHECK_FALSE(row.help.empty());
    KcpTuning tuning;
    tuning.congestion = {row.name};
    tuning.rate = 1'000'000;  // some need one
    tuning.no_congestion_control = GENERATE(false, true);
    const auto controller = make_congestion_controller(tuning, kPacket, 0);
    REQUIRE(controller);
    CHECK(controller->window() >= kPacket);
    // A window may follow the path only where the controller limits the bytes in flight.
    if (row.window_grows(tuning.no_congestion_control))
      CHECK(controller->in_flight_limit() < CongestionController::kUnlimited);
  }
  CHECK(find_congestion("cubic") == nullptr);
}

}  // namespace kcptun::congestion_test
