// What a reordered, duplicated or recorded segment may change: nothing that its sender knows better by now.
#include "core/kcp/freshness.h"

#include <catch2/catch.hpp>
#include <vector>

#include "core/kcp/kcp.h"

namespace kcptun::freshness_test {
namespace {

constexpr std::uint32_t kConv = 7;
constexpr std::size_t kPacketSize = 200;
using Datagram = std::vector<std::uint8_t>;

struct Peer {
  Peer() : kcp(kConv, settings(), kPacketSize, pool) {}

  static KcpSettings settings() {
    KcpSettings s;
    s.tuning = kModePresets[3].tuning;
    s.tuning.congestion = Congestion::kOff;
    s.receive_window = 4;
    return s;
  }
  void write(std::size_t size) {
    std::vector<MutableBytes> pieces;
    kcp.prepare(size, pieces);
    kcp.commit(size);
  }
  std::vector<Datagram> packets() {
    std::vector<Datagram> out;
    Datagram packet(kPacketSize);
    while (const std::size_t size = kcp.poll_packet(now, packet.data()))
      out.emplace_back(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
    return out;
  }
  /// True if something in it was fresh.
  bool give(const Datagram& packet) {
    const std::uint64_t before = kcp.fresh_segments();
    kcp.handle_packet(now, packet, Kcp::Origin::kArrived);
    kcp.end_batch(now);
    return kcp.fresh_segments() != before;
  }
  void read() {
    while (kcp.read()) {
    }
  }

  TimePoint now{seconds(100)};
  BufferPool pool{kPacketSize};
  Kcp kcp;
};

/// Two ends without a network between them: a writes and b acknowledges.
struct Pair {
  /// One exchange after another, each with its own una. Returns what b said, the oldest first.
  std::vector<Datagram> talk(int times) {
    std::vector<Datagram> said;
    for (int i = 0; i < times; ++i) {
      wait(milliseconds(10));
      a.write(100);
      for (const Datagram& packet : a.packets()) b.give(packet);
      for (const Datagram& packet : b.packets()) a.give(said.emplace_back(packet));
    }
    return said;
  }
  void wait(Duration time) { a.now = b.now = a.now + time; }

  Peer a, b;
};

}  // namespace

TEST_CASE("a window of 0 that comes late, or again, does not silence an idle sender") {
  Pair pair;
  const std::vector<Datagram> said = pair.talk(4);  // b reads nothing: its window of 4 closes step by step
  REQUIRE(pair.a.kcp.peer_window() == 0);
  pair.b.read();
  for (const Datagram& packet : pair.b.packets()) pair.a.give(packet);  // and is open again
  REQUIRE(pair.a.kcp.peer_window() == 4);

  for (const Datagram& old : said) pair.a.give(old);  // the last one has the una of now
  CHECK(pair.a.kcp.peer_window() == 4);
  pair.a.write(100);
  CHECK(pair.a.packets().size() == 1);
}

TEST_CASE("an advertised window follows una, and at the same una it only grows") {
  AdvertisedWindow window(32);
  CHECK(window.handle(10, 5));  // the first word counts, whatever was assumed
  CHECK(window.segments() == 5);
  CHECK_FALSE(window.handle(9, 100));
  CHECK_FALSE(window.handle(10, 4));
  CHECK(window.segments() == 5);
  CHECK(window.handle(10, 6));
  CHECK(window.handle(11, 1));
  CHECK(window.segments() == 1);
  AdvertisedWindow wraps(32);
  wraps.handle(0xffffffff, 8);
  CHECK(wraps.handle(0, 7));
  CHECK_FALSE(wraps.handle(0xffffffff, 9));
}

TEST_CASE("nothing that was said before is fresh, and only an echo of the ping answers it") {
  Pair pair;
  std::vector<Datagram> recorded = pair.talk(3);
  pair.b.read();
  pair.b.write(100);
  for (const Datagram& packet : pair.b.packets()) CHECK(pair.a.give(recorded.emplace_back(packet)));
  for (const Datagram& packet : pair.a.packets()) pair.b.give(packet);
  REQUIRE_FALSE(pair.a.kcp.awaits_peer());

  pair.wait(seconds(5));
  pair.a.kcp.ping();
  const std::vector<Datagram> ping = pair.a.packets();
  REQUIRE(ping.size() == 1);
  for (const Datagram& packet : ping) pair.b.give(packet);
  const std::vector<Datagram> answer = pair.b.packets();
  REQUIRE(pair.a.kcp.awaits_peer());
  for (const Datagram& old : recorded) CHECK_FALSE(pair.a.give(old));
  CHECK(pair.a.kcp.awaits_peer());

  for (const Datagram& packet : answer) CHECK(pair.a.give(packet));
  CHECK_FALSE(pair.a.kcp.awaits_peer());
  for (const Datagram& packet : answer) CHECK_FALSE(pair.a.give(packet));  // the next ping is another
}

TEST_CASE("a retransmission whose acknowledgement was lost is fresh, its recording is not") {
  Pair pair;
  pair.b.write(100);
  for (const Datagram& packet : pair.b.packets()) CHECK(pair.a.give(packet));
  pair.a.packets();  // lost
  pair.wait(milliseconds(300));
  pair.b.kcp.handle_timeout(pair.b.now);
  const std::vector<Datagram> again = pair.b.packets();
  REQUIRE(again.size() == 1);
  CHECK(pair.a.give(again[0]));
  CHECK_FALSE(pair.a.give(again[0]));
}

TEST_CASE("a clock's time stamps are later than all before, and not in the future") {
  const TimePoint begin{seconds(50)};
  TimestampClock clock;
  CHECK_FALSE(clock.advance(begin, 7));  // nothing is known
  clock.observe(begin, 1000);
  CHECK_FALSE(clock.advance(begin, 1000));
  CHECK_FALSE(clock.advance(begin, 999));
  CHECK(clock.advance(begin, 1001));
  CHECK_FALSE(clock.advance(begin, 1001));
  CHECK_FALSE(clock.advance(begin + seconds(10), 1001 + 12001));
  CHECK(clock.advance(begin + seconds(10), 1001 + 12000));
  clock.observe(begin + seconds(20), 0xfffffff0 + 20);  // behind: nothing changes
  CHECK(clock.advance(begin + seconds(20), 1001 + 22000));
}

}  // namespace kcptun::freshness_test
