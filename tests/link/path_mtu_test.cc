#include "core/link/path_mtu.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <vector>

namespace kcptun::path_mtu_test {
namespace {

constexpr Duration kWait = milliseconds(150);

/// A search against a path that carries datagrams of up to `passes` bytes, and that answers at once.
struct Search {
  explicit Search(std::uint32_t size) : passes(size) {}

  /// The probe that is due next; time goes on to it. While large packets leave, there is one.
  std::uint32_t probe() {
    for (;;) {
      REQUIRE(mtu.next_timeout());
      now = std::max(now, *mtu.next_timeout());
      if (const std::optional<std::uint32_t> size = mtu.poll_probe(now, kWait))
        return sizes.emplace_back(*size);
      mtu.handle_large_packet(now);
      REQUIRE(*mtu.next_timeout() > now);  // else its owner would turn in a circle
    }
  }
  /// The same, answered if it passes. The peer is heard all the time.
  void step() {
    mtu.handle_large_packet(now);
    const bool passed = probe() <= passes;
    mtu.handle_arrival(now);
    if (passed) mtu.handle_answer(now);
  }
  /// Until the size is known.
  void settle() {
    do step();
    while (!mtu.settled());
  }

  std::uint32_t passes;
  TimePoint now{seconds(100)};
  PathMtu mtu;
  std::vector<std::uint32_t> sizes;
};

}  // namespace

TEST_CASE("each size is found exactly, among them those of IPv4 and IPv6 paths") {
  // 1500 and 1280 bytes less IPv4's 28 or IPv6's 48, PPPoE, what is searched at all, and one to each side.
  const std::uint32_t size = GENERATE(1200u, 1201u, 1231u, 1232u, 1233u, 1252u, 1349u, 1350u, 1351u, 1444u,
                                      1451u, 1452u, 1453u, 1464u, 1471u, 1472u, 1473u, 1499u, 1500u);
  CAPTURE(size);
  Search search(size);
  CHECK(search.mtu.size() == PathMtu::kFloor);
  search.settle();
  CHECK(search.mtu.size() == size);
  CHECK(search.sizes.size() <= 10 * PathMtu::kMaxProbes);
}

TEST_CASE("what never passes leaves the size at the floor, and is tried again after the raise time") {
  Search search(0);
  search.settle();
  CHECK(search.mtu.size() == PathMtu::kFloor);
  CHECK(std::count(search.sizes.begin(), search.sizes.end(), PathMtu::kFloor) ==
        static_cast<std::ptrdiff_t>(search.sizes.size()));
  CHECK(search.sizes.size() <= PathMtu::kMaxProbes + 1);
  search.passes = 1452;
  search.now += PathMtu::kRaiseEvery;
  search.mtu.handle_large_packet(search.now);
  while (search.mtu.size() != 1452) {
    search.step();
    REQUIRE(search.sizes.size() < 100);
  }
}

TEST_CASE("a path that shrinks, once or twice, is noticed and searched again") {
  Search search(1452);
  search.settle();
  for (const std::uint32_t size : {1352u, 1232u}) {
    search.passes = size;
    const TimePoint begin = search.now;
    while (search.mtu.size() > size) search.step();
    CHECK(search.now - begin <= PathMtu::kConfirmEvery + (PathMtu::kMaxProbes + 1) * kWait);
    search.settle();
    CHECK(search.mtu.size() == size);
  }
}

TEST_CASE("a size is confirmed while large packets leave, and nothing is sent while none do") {
  Search search(1472);
  search.settle();
  search.mtu.handle_large_packet(search.now);
  CHECK(search.probe() == 1472);
  search.mtu.handle_answer(search.now);
  search.now = *search.mtu.next_timeout();  // nothing large has left since
  CHECK_FALSE(search.mtu.poll_probe(search.now, kWait));
  CHECK_FALSE(search.mtu.next_timeout());
  search.mtu.handle_large_packet(search.now);
  CHECK(*search.mtu.next_timeout() == search.now + PathMtu::kConfirmEvery);
}

TEST_CASE("silence is no answer, and a silent peer is not probed on") {
  Search search(1472);
  search.settle();
  search.mtu.handle_large_packet(search.now);
  search.mtu.handle_arrival(search.now);
  for (std::uint32_t i = 0; i < PathMtu::kMaxProbes; ++i)
    CHECK(search.probe() == 1472);  // what was heard before is old
  CHECK_FALSE(search.mtu.poll_probe(*search.mtu.next_timeout(), kWait));
  CHECK(search.mtu.size() == 1472);
  CHECK_FALSE(search.mtu.next_timeout());
  search.mtu.handle_large_packet(search.now);
  CHECK_FALSE(search.mtu.next_timeout());

  search.now += seconds(20);
  search.mtu.handle_arrival(search.now);
  CHECK(*search.mtu.next_timeout() == search.now);
  for (std::uint32_t i = 0; i < PathMtu::kMaxProbes; ++i) CHECK(search.probe() == 1472);
  search.mtu.handle_arrival(search.now);
  search.probe();
  CHECK(search.mtu.size() == PathMtu::kFloor);
}

TEST_CASE("the next size waits until no second answer to the last one can come") {
  Search search(1500);
  CHECK(search.probe() == PathMtu::kFloor);
  search.mtu.handle_answer(search.now);
  CHECK(*search.mtu.next_timeout() == search.now);
  CHECK(search.probe() == 1500);
  CHECK(search.probe() == 1500);
  search.mtu.handle_answer(search.now);
  CHECK(search.mtu.settled());

  Search other(1499);
  other.probe();
  CHECK(other.probe() == PathMtu::kFloor);
  other.mtu.handle_answer(other.now);
  const TimePoint answered = other.now;
  CHECK_FALSE(other.mtu.poll_probe(answered, kWait));
  other.mtu.handle_answer(other.now);  // of the second
  CHECK(other.mtu.size() == PathMtu::kFloor);
  CHECK(other.probe() == 1500);
  CHECK(other.now == answered + kWait);
}

}  // namespace kcptun::path_mtu_test
