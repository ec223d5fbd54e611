#include "core/probe/ping_train.h"

#include <array>
#include <catch2/catch.hpp>
#include <set>

#include "core/base/random.h"

namespace kcptun::test::ping_train_test {
namespace {

constexpr std::uint32_t kConv = 0x1234;

/// A server that behaves like kcp-go: acknowledges on its own clock, and omits acknowledgements that una
/// covers, except for the last.
class GoServer {
 public:
  explicit GoServer(std::uint32_t acks_per_packet) : acks_per_packet_(acks_per_packet) {}

  void take(Bytes body) {
    while (const auto segment = take_segment(body)) {
      acks_.push_back({segment->sn, segment->ts});
      if (segment->sn >= next_) early_.insert(segment->sn);
      while (early_.erase(next_) > 0) ++next_;
    }
  }

  std::vector<std::vector<std::uint8_t>> flush() {
    std::vector<std::vector<std::uint8_t>> packets;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> left;
    for (std::size_t i = 0; i < acks_.size(); ++i) {
      if (acks_[i].first >= next_ || i + 1 == acks_.size()) left.push_back(acks_[i]);
    }
    acks_.clear();
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (i % acks_per_packet_ == 0) packets.emplace_back();
      Segment ack{.conv = kConv,
                  .command = KcpCommand::kAck,
                  .window = 1024,
                  .ts = left[i].second,
                  .sn = left[i].first,
                  .una = next_,
                  .data = {}};
      packets.back().resize(packets.back().size() + kSegmentHeader);
      write_segment_header(packets.back().data() + packets.back().size() - kSegmentHeader, ack, 0);
    }
    return packets;
  }

 private:
  const std::uint32_t acks_per_packet_;
  std::uint32_t next_ = 0;
  std::set<std::uint32_t> early_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> acks_;
};

struct Truth {
  LossCount up;
  LossCount down;
};

/// A path with 20 ms of one-way delay in steps of 2 ms, and a server that answers every `tick` steps.
Truth run(PingTrain& train, double up_loss, double down_loss, int tick, std::uint64_t seed) {
  constexpr int kOneWay = 10;
  Random random(seed);
  GoServer server(40);
  Truth truth;
  std::vector<std::pair<int, std::vector<std::uint8_t>>> to_server, to_client;
  const auto lost = [&random](double share) { return random.below(1'000'000) < share * 1e6; };
  int quiet = 0;
  for (int step = 0; step < 200'000 && !train.resolved(); ++step) {
    const TimePoint now{milliseconds(2 * step)};
    std::vector<std::uint8_t> body(PingTrain::kPingBody);
    const bool is_ping = train.pings_left();
    std::size_t size = 0;
    if (is_ping) {
      size = train.write_ping(now, body.data());
    } else if (++quiet > 60 && quiet % 60 == 1) {
      size = train.write_gap_segment(body.data());
    }
    body.resize(size);
    if (size > 0) {
      const bool gone = lost(up_loss);
      if (is_ping) ++(gone ? truth.up.lost : truth.up.arrived);
      if (!gone) to_server.emplace_back(step + kOneWay, body);
    }
    while (!to_server.empty() && to_server.front().first <= step) {
      server.take(to_server.front().second);
      to_server.erase(to_server.begin());
    }
    if (step % tick == 0) {
      for (auto& packet : server.flush()) {
        const bool gone = lost(down_loss);
        if (quiet < 40) ++(gone ? truth.down.lost : truth.down.arrived);
        if (!gone) to_client.emplace_back(step + kOneWay, std::move(packet));
      }
    }
    while (!to_client.empty() && to_client.front().first <= step) {
      train.handle(now, to_client.front().second);
      to_client.erase(to_client.begin());
    }
  }
  return truth;
}

TEST_CASE("Pings that were lost on the way there are counted to the last, whatever is lost on the way back") {
  for (const double down_loss : {0.0, 0.05, 0.3}) {
    for (const int tick : {1, 15}) {
      PingTrain train(kConv, 1000);
      const Truth truth = run(train, 0.03, down_loss, tick, 7);
      INFO(down_loss << ' ' << tick);
      REQUIRE(train.resolved());
      CHECK(train.up().lost == truth.up.lost);
      CHECK(train.up().total() == 1000);
    }
  }
}

TEST_CASE("Replies lost on the way back are counted by the pings that they would have acknowledged") {
  for (const int tick : {1, 15}) {
    PingTrain train(kConv, 1000);
    const Truth truth = run(train, 0.03, 0.04, tick, 11);
    INFO(tick << ' ' << truth.down.lost << " of " << truth.down.total());
    CHECK(static_cast<double>(train.down().lost) ==
          Approx(static_cast<double>(truth.down.lost)).epsilon(0.25).margin(4));
    CHECK(static_cast<double>(train.down().total()) ==
          Approx(static_cast<double>(truth.down.total())).epsilon(0.1));
  }
}

TEST_CASE(
    "A server that answers on its own clock adds less than the time between two pings to a round trip") {
  PingTrain train(kConv, 500);
  run(train, 0, 0, 15, 3);
  REQUIRE(train.round_trips().size() > 20);
  for (const Duration trip : train.round_trips()) {
    CHECK(trip >= milliseconds(40));
    CHECK(trip <= milliseconds(44));
  }
  CHECK(train.window() == 1024);
}

TEST_CASE(
    "Nothing that a stranger says is believed: other conversations, acknowledgements and una of what never "
    "left") {
  PingTrain train(kConv, 10);
  std::array<std::uint8_t, PingTrain::kPingBody> body;
  train.write_ping(TimePoint{}, body.data());
  std::array<std::uint8_t, kSegmentHeader> packet;
  const auto tell = [&](std::uint32_t conv, std::uint32_t sn, std::uint32_t ts, std::uint32_t una) {
    write_segment_header(
        packet.data(),
        {.conv = conv, .command = KcpCommand::kAck, .window = 9, .ts = ts, .sn = sn, .una = una, .data = {}},
        0);
    train.handle(TimePoint{milliseconds(5)}, packet);
  };
  tell(kConv + 1, 1, 1, 2);
  tell(kConv, 2, 2, 0);
  tell(kConv, 0, 0, 0xffffffff);
  tell(kConv, 1, 2, 77);
  CHECK_FALSE(train.heard());
  CHECK(train.una() == 0);
  for (std::size_t size = 0; size < packet.size(); ++size)
    train.handle(TimePoint{}, Bytes(packet).first(size));
  tell(kConv, 1, 1, 0);
  CHECK(train.round_trips() == std::vector<Duration>{milliseconds(5)});
}

}  // namespace
}  // namespace kcptun::test::ping_train_test
