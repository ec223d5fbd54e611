// Datagrams across a simulated path: beside bulk, through a flood, on a path that loses and repeats.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "tests/support/sim_paths.h"

namespace kcptun::test::datagrams_test {
namespace {

constexpr std::uint32_t kSid = 3;  // of the first stream

/// The client sends datagrams of `size` bytes, one each `gap`, on the flow of the first stream.
class Sender final : public SimCompanion {
 public:
  Sender(std::size_t size, Duration gap, std::size_t count) : payload_(size), gap_(gap), count_(count) {}

  std::optional<TimePoint> next_timeout(Role at) const override {
    return at == Role::kClient && sent_ < count_ ? std::optional(next_) : std::nullopt;
  }
  void act(TimePoint now, Role at, Link& link) override {
    if (at == Role::kServer) return read(now, link);
    if (!link.can_send_datagrams()) {
      next_ = std::max(next_, now + milliseconds(1));
      return;
    }
    for (; sent_ < count_ && next_ <= now; next_ += gap_) {
      store_u64(payload_.data(), sent_++);
      store_u64(payload_.data() + 8, static_cast<std::uint64_t>(now.time_since_epoch().count()));
      link.send_datagram(now, kSid, {}, payload_);
    }
  }

  std::size_t sent() const { return sent_; }
  std::size_t arrived() const { return delays_.size(); }
  bool repeated() const { return numbers_.size() != delays_.size(); }
  Duration delay(double quantile) {
    REQUIRE_FALSE(delays_.empty());
    std::sort(delays_.begin(), delays_.end());
    return delays_[static_cast<std::size_t>(quantile * static_cast<double>(delays_.size() - 1))];
  }

 private:
  void read(TimePoint now, Link& link) {
    while (const auto datagram = link.poll_datagram()) {
      REQUIRE(datagram->bytes.size() == payload_.size());
      numbers_.insert(load_u64(datagram->bytes.data()));
      const auto at = static_cast<std::int64_t>(load_u64(datagram->bytes.data() + 8));
      delays_.push_back(now - TimePoint(Duration(at)));
    }
  }

  std::vector<std::uint8_t> payload_;
  Duration gap_;
  std::size_t count_;
  std::size_t sent_ = 0;
  TimePoint next_ = kBegin + seconds(1);
  std::set<std::uint64_t> numbers_;
  std::vector<Duration> delays_;
};

SimSettings datagram_settings(const PathPlan& path, std::uint32_t segments) {
  SimSettings s = settings_on(path, segments);
  s.client.smux.capabilities = s.server.smux.capabilities = kRequestStreams | kDatagramPackets;
  s.client.fec = s.server.fec = {10, 3};
  return s;
}

FlowPlan bulk(std::size_t bytes) {
  FlowPlan plan;
  plan.request = bytes;
  plan.opens_at = kBegin;
  return plan;
}

void run_for(SimPair& pair, Duration duration) {
  pair.run(pair.now() + duration, [] { return false; });
  CHECK(pair.failure().empty());
}

}  // namespace

TEST_CASE("50 datagrams a second beside bulk wait for little more than the path") {
  const double loss = GENERATE(0.0, 0.02);
  const PathPlan path{.rtt_ms = 50, .mbit = 100, .loss = loss};
  SimPair pair(datagram_settings(path, 0), {bulk(1'000'000'000)}, 1);
  Sender sender(100, milliseconds(20), 1000);
  pair.accompany(sender);
  run_for(pair, seconds(25));
  CHECK(sender.sent() == 1000);
  CHECK(sender.arrived() >= static_cast<std::size_t>(1000 * (1 - loss) - 15));
  // While the congestion controller probes for more, it queues a quarter of the round trip.
  CHECK(sender.delay(0.9) <= milliseconds(25 + 10));
  CHECK(sender.delay(0.99) <= milliseconds(25 + 14));
}

TEST_CASE("a flood of datagrams leaves bulk its part of the path") {
  const PathPlan path{.rtt_ms = 40, .mbit = 50};
  SimPair pair(datagram_settings(path, 0), {bulk(1'000'000'000)}, 1);
  Sender sender(1200, microseconds(48), 1'000'000);  // 200 Mbit/s
  pair.accompany(sender);
  run_for(pair, seconds(20));
  const double stream = static_cast<double>(pair.server().flows.received_on(0)) * 8 / 18e6;
  const double datagrams = static_cast<double>(sender.arrived()) * 1200 * 8 / 18e6;
  CHECK(stream >= 15);
  CHECK(datagrams >= 15);
}

TEST_CASE("datagrams alone use the whole path") {
  const PathPlan path{.rtt_ms = 40, .mbit = 50};
  SimPair pair(datagram_settings(path, 0), {messages(100, seconds(60), 2)}, 1);  // the stream stays open
  Sender sender(1200, microseconds(240), 40'000);                                // 40 Mbit/s for 9.6 s
  pair.accompany(sender);
  run_for(pair, seconds(15));
  CHECK(sender.arrived() == 40'000);
  CHECK(sender.delay(0.99) <= milliseconds(22));
}

TEST_CASE("a path that loses, repeats, reorders and damages packets delivers each datagram at most once") {
  PathPlan plan{.rtt_ms = 30, .mbit = 100, .loss = 0.1};
  SimSettings s = datagram_settings(plan, 1024);
  s.cipher = GENERATE(Cipher::kAes128, Cipher::kXChaCha20Poly1305);
  for (SimPath* path : {&s.to_server, &s.to_client}) {
    path->duplicate = 0.2;
    path->reorder = 0.2;
    path->reorder_by = milliseconds(20);
    path->flip = 0.02;
  }
  SimPair pair(s, {bulk(1'000'000'000)}, 3);
  Sender sender(4000, milliseconds(5), 2000);  // four packets each
  pair.accompany(sender);
  run_for(pair, seconds(15));
  CHECK(sender.sent() == 2000);
  CHECK_FALSE(sender.repeated());
  CHECK(sender.arrived() > 1000);  // (0.9 * 0.98)^4 = 0.61
  CHECK(pair.server_link().datagrams()->incoming.counters().malformed == 0);
}

}  // namespace kcptun::test::datagrams_test
