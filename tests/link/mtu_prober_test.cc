#include "core/link/mtu_prober.h"

#include <catch2/catch.hpp>

#include "tests/link/kcp_pair.h"

namespace kcptun::test::mtu_prober_test {
namespace {

constexpr PacketOverhead kOverhead{20, 16, 8};

struct Fixture {
  explicit Fixture(bool find_mtu) : prober(pair.client, settings(find_mtu), kOverhead) {}
  static KcpSettings settings(bool find_mtu) {
    KcpSettings s;
    s.find_mtu = find_mtu;
    return s;
  }
  PacketSource::Polled poll() { return prober.poll_packet(pair.now, packet); }
  /// The packet just polled reaches the peer, and its answer comes back.
  void answer(std::size_t size) {
    pair.deliver(Bytes(packet).first(size), pair.server);
    pair.now += milliseconds(40);
    pair.carry(pair.server, pair.client);
    prober.handle_arrival(pair.now);
  }
  std::size_t kcp_packet() const { return pair.client.segment_size() + kSegmentHeader; }

  KcpPair pair;
  MtuProber prober;
  Buffer packet = Buffer(kMaxDatagram);
};

}  // namespace

TEST_CASE("without find_mtu nothing is probed, and KCP's packet size stays") {
  Fixture f(false);
  f.pair.meet();
  f.prober.handle_arrival(f.pair.now);
  f.prober.handle_data_packet(f.pair.now, 1400);
  CHECK(f.poll().size == 0);
  CHECK_FALSE(f.prober.next_timeout());
  CHECK_FALSE(f.prober.path_mtu());
  CHECK(f.kcp_packet() == kKcpPacket);
  CHECK(f.prober.error().empty());
}

TEST_CASE("a peer that was never heard is not probed") {
  Fixture f(true);
  CHECK(f.poll().size == 0);
  CHECK_FALSE(f.prober.next_timeout());
}

TEST_CASE(
    "probes have the size of the datagram without the suite's headers, and answers set KCP's packet size") {
  Fixture f(true);
  f.pair.meet();
  f.prober.handle_arrival(f.pair.now);
  const PacketSource::Polled floor = f.poll();
  CHECK(floor.size == PathMtu::kFloor - kOverhead.crypto());
  CHECK(floor.fragments == TransmitBatch::Fragments::kDontFragment);
  CHECK(f.poll().size == 0);
  f.answer(floor.size);
  CHECK(f.kcp_packet() == PathMtu::kFloor - kOverhead.total());
  const PacketSource::Polled largest = f.poll();
  CHECK(largest.size == kMaxDatagram - kOverhead.crypto());
  f.answer(largest.size);
  CHECK(f.prober.path_mtu()->settled());
  CHECK(f.kcp_packet() == kMaxDatagram - kOverhead.total());
}

TEST_CASE("the last probe of a size is followed by a small packet that any live peer answers") {
  Fixture f(true);
  f.pair.meet();
  f.prober.handle_arrival(f.pair.now);
  for (std::uint32_t i = 1; i < PathMtu::kMaxProbes; ++i) {
    CHECK(f.poll().size == PathMtu::kFloor - kOverhead.crypto());
    CHECK(f.poll().size == 0);
    f.pair.now = *f.prober.next_timeout();
  }
  CHECK(f.poll().size == PathMtu::kFloor - kOverhead.crypto());
  const PacketSource::Polled echo = f.poll();
  CHECK(echo.size == kSegmentHeader);
  CHECK(echo.fragments == TransmitBatch::Fragments::kAllowed);
  CHECK(f.poll().size == 0);
}

TEST_CASE("a large packet is one that fills the floor with all its headers") {
  Fixture f(true);
  f.pair.meet();
  f.prober.handle_arrival(f.pair.now);
  f.answer(f.poll().size);
  f.answer(f.poll().size);
  REQUIRE(f.prober.path_mtu()->settled());
  f.pair.now = *f.prober.next_timeout();
  CHECK(f.poll().size == 0);  // nothing large left: no confirmation
  REQUIRE_FALSE(f.prober.next_timeout());
  f.prober.handle_data_packet(f.pair.now, PathMtu::kFloor - kOverhead.total() - 1);
  CHECK_FALSE(f.prober.next_timeout());
  f.prober.handle_data_packet(f.pair.now, PathMtu::kFloor - kOverhead.total());
  CHECK(f.prober.next_timeout());
}

TEST_CASE("a session ends when segments of the old size do not arrive for 15 s from a peer that is heard") {
  Fixture f(true);
  f.pair.meet();
  f.prober.handle_arrival(f.pair.now);
  f.answer(f.poll().size);
  f.answer(f.poll().size);
  KcpPair::write(f.pair.client, Buffer(1400, 3));
  while (f.pair.client.poll_packet(f.pair.now, f.packet.data()) > 0) {
  }
  f.pair.client.set_packet_size(kKcpPacket);
  REQUIRE(f.pair.client.has_oversize());
  f.prober.handle_arrival(f.pair.now);
  const TimePoint begin = f.pair.now;
  while (f.pair.now - begin < seconds(15) - milliseconds(1)) {
    CHECK(f.prober.error().empty());
    f.pair.now = std::min<TimePoint>(f.pair.now + seconds(1), begin + seconds(15) - milliseconds(1));
    f.prober.handle_arrival(f.pair.now);
  }
  CHECK(f.prober.error().empty());
  f.pair.now = begin + seconds(15);
  f.prober.handle_arrival(f.pair.now);
  CHECK_FALSE(f.prober.error().empty());
}

}  // namespace kcptun::test::mtu_prober_test
