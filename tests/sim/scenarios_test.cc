// Scenarios that random seeds rarely cover, each with its own expectations.
#include <catch2/catch.hpp>
#include <utility>

#include "tests/support/allocations.h"
#include "tests/support/sim_pair.h"

namespace kcptun::test::scenarios_test {
namespace {

/// fast3, windows of 1024, no compression.
SimSettings plain_settings(std::uint32_t smux = 2) {
  SimSettings s;
  s.client.kcp.tuning = kModePresets[3].tuning;
  s.client.kcp.send_window = s.client.kcp.receive_window = 1024;
  s.client.smux.version = smux;
  s.client.compress = false;
  s.server = s.client;
  return s;
}

FlowPlan plan(std::size_t request, std::size_t answer, std::uint64_t salt = 1) {
  FlowPlan p;
  p.salt = salt;
  p.request = request;
  p.answer = answer;
  p.opens_at = TimePoint(seconds(1));
  return p;
}

bool settle(SimPair& pair, Duration within) {
  const bool settled = pair.run(pair.now() + within, [&] { return pair.settled(); });
  if (!settled)
    WARN("at " << pair.now().time_since_epoch().count() << " us: " << pair.failure() << pair.progress());
  return settled;
}

std::uint64_t packets_sent(SimPair& pair) {
  return pair.network().sent_to(Role::kServer).packets + pair.network().sent_to(Role::kClient).packets;
}

}  // namespace

TEST_CASE("with smux 2 a stream that nobody reads does not stop the one beside it") {
  SimSettings s = plain_settings();
  s.server.smux.receive_buffer = 4 << 20;
  s.server.smux.stream_buffer = 1 << 20;
  FlowPlan stuck = plan(3000000, 0);
  stuck.server_reads = false;
  SimPair pair(s, {stuck, plan(3000000, 1000000, 2)}, 1);
  CHECK(pair.run(TimePoint(seconds(20)), [&] {
    return pair.server().flows.received_on(1) == 3000000 && pair.client().flows.received_on(1) == 1000000;
  }));
  pair.run(TimePoint(seconds(100)), [] { return false; });
  CHECK(pair.failure().empty());                         // the stalled stream harms no other
  CHECK(pair.server().flows.received_on(0) == 1 << 20);  // exactly its streambuf
}

TEST_CASE(
    "with smux 2, streams that nobody reads stop no other, though together they could hold ten times "
    "smuxbuf") {
  SimSettings s = plain_settings();
  s.to_server.delay = s.to_client.delay = milliseconds(GENERATE(0, 40));
  s.server.smux.receive_buffer = 1 << 20;
  s.server.smux.stream_buffer = 1 << 20;
  std::vector<FlowPlan> plans;
  for (std::uint64_t i = 0; i < 10; ++i) {
    plans.push_back(plan(3000000, 0, i));
    plans.back().server_reads = false;
    plans.back().opens_at += milliseconds(700) * static_cast<std::int64_t>(i);
  }
  plans.push_back(plan(3000000, 1000000, 11));
  plans.back().opens_at = plans[9].opens_at + seconds(1);
  SimPair pair(s, plans, 1);
  CHECK(pair.run(TimePoint(seconds(40)), [&] {
    return pair.server().flows.received_on(10) == 3000000 && pair.client().flows.received_on(10) == 1000000;
  }));
  CHECK(pair.failure().empty());
  CHECK(pair.server_link().smux().stalls().streams == 10);
}

TEST_CASE("with smux 1 a stream that nobody reads stops its session, which lives on") {
  SimSettings s = plain_settings(1);
  s.server.smux.receive_buffer = 100000;
  FlowPlan stuck = plan(3000000, 0);
  stuck.server_reads = false;
  SimPair pair(s, {stuck, plan(3000000, 100000, 2)}, 1);
  CHECK_FALSE(
      pair.run(TimePoint(seconds(200)), [&] { return pair.server().flows.received_on(1) == 3000000; }));
  CHECK(pair.failure().empty());
  CHECK(pair.server_link().smux().buffered() < 100000 + kMaxDatagram);
  CHECK_FALSE(pair.server_link().smux().can_receive());
  CHECK(pair.server().context.segments.in_use() <= 2 * 1024);
  CHECK(pair.client().flows.received_on(1) == 100000);  // the other direction is unaffected
}

TEST_CASE("2,000 streams at once are all served") {
  const std::uint32_t version = GENERATE(1u, 2u);
  std::vector<FlowPlan> plans;
  for (std::uint64_t i = 0; i < 2000; ++i) plans.push_back(plan(500 + i % 700, 700 - i % 600, i));
  SimPair pair(plain_settings(version), plans, 1);
  CHECK(settle(pair, seconds(20)));
  CHECK(pair.server_link().smux().streams() == 0);
}

TEST_CASE("streams survive 10 s of darkness and go on soon after") {
  SimSettings s = plain_settings();
  s.to_server.delay = s.to_client.delay = milliseconds(25);
  FlowPlan p = plan(2000000, 2000000);
  p.pause = 1;
  p.longest_pause = milliseconds(100);
  SimPair pair(s, {p}, 1);
  pair.run(TimePoint(seconds(2)), [] { return false; });
  const TimePoint light = pair.now() + seconds(10);
  pair.network().drop_until(light);
  pair.run(light, [] { return false; });
  const std::uint64_t before = pair.server().flows.received();
  CHECK(pair.run(light + seconds(1), [&] { return pair.server().flows.received() > before; }));
  CHECK(settle(pair, seconds(60)));
}

TEST_CASE("what is sent again is about what the path lost, with reordering too") {
  SimSettings s = plain_settings();
  s.client.fec = s.server.fec = {0, 0};  // no repair by FEC
  s.to_server.delay = s.to_client.delay = milliseconds(25);
  s.to_server.loss = GENERATE(0.0, 0.02, 0.1);
  s.to_server.reorder = GENERATE(0.0, 0.02);
  s.to_server.reorder_by = milliseconds(8);  // less than the initial reordering window
  CAPTURE(s.to_server.loss, s.to_server.reorder);
  SimPair pair(s, {plan(20000000, 0)}, 1);
  CHECK(settle(pair, seconds(60)));
  const Kcp::Counters& sent = pair.client_link().kcp().counters();
  const double share = static_cast<double>(sent.retransmitted) / static_cast<double>(sent.out_segments);
  CHECK(share <= 1.3 * s.to_server.loss + 0.0005);
  CHECK(share >= 0.8 * s.to_server.loss);  // the loss did occur
}

TEST_CASE("reordering beyond the first window costs a few copies until it is learnt") {
  SimSettings s = plain_settings();
  s.client.fec = s.server.fec = {0, 0};
  s.to_server.delay = s.to_client.delay = milliseconds(25);
  s.to_server.reorder = 0.02;
  s.to_server.reorder_by = milliseconds(40);
  SimPair pair(s, {plan(20000000, 0)}, 1);
  CHECK(settle(pair, seconds(60)));
  const Kcp::Counters& sent = pair.client_link().kcp().counters();
  CHECK(sent.retransmitted < sent.out_segments / 200);  // a quarter of the reordered packets
}

TEST_CASE("a session whose network never comes back is over 30 s after its last arrival") {
  SimPair pair(plain_settings(), {plan(1000, 1000)}, 1);
  CHECK(settle(pair, seconds(5)));
  TimePoint last = pair.now();  // when the last packet was sent, up to 10 ms late
  for (std::uint64_t seen = packets_sent(pair); pair.now() < TimePoint(seconds(16));) {
    pair.run(pair.now() + milliseconds(10), [] { return false; });
    if (std::exchange(seen, packets_sent(pair)) != seen) last = pair.now();
  }
  CHECK(last > TimePoint(seconds(5)));  // a keepalive was sent, at the time set by its spread
  pair.network().drop_until(TimePoint(seconds(1000)));
  CHECK_FALSE(pair.run(TimePoint(seconds(60)), [] { return false; }));
  CHECK(pair.failure() == "a link closed: nothing arrived from the peer for too long");
  CHECK(pair.now() > last + seconds(30) - milliseconds(200));
  CHECK(pair.now() < last + seconds(30) + milliseconds(200));
}

TEST_CASE("an idle session costs its keepalive and holds nearly no memory") {
  const bool compress = GENERATE(false, true);
  SimSettings s = plain_settings();
  s.client.compress = s.server.compress = compress;
  SimPair pair(s, {plan(1000000, 1000000)}, 1);
  CHECK(settle(pair, seconds(30)));
  pair.run(TimePoint(seconds(55)), [] { return false; });
  const std::uint64_t packets = packets_sent(pair);
  const std::uint64_t wakeups = pair.client().wakeups + pair.server().wakeups;
  pair.run(TimePoint(seconds(155)), [] { return false; });
  CHECK(pair.failure().empty());
  // Ten NOPs in each direction, their acknowledgements, and the parity of the groups that they fill.
  CHECK(packets_sent(pair) - packets <= 2 * (10 + 10) + 2 * 3 * 2);
  CHECK(pair.client().wakeups + pair.server().wakeups - wakeups <= 2 * 10 * 3 + 12);
  for (SimEnd* end : {&pair.client(), &pair.server()}) {
    CHECK(end->context.segments.in_use() == 0);
    end->context.trim();
    end->context.trim();
    CHECK(end->context.segments.held_bytes() == 0);
    CHECK(end->context.blocks.in_use() <= 1);
  }
}

TEST_CASE("the rate limit is used, and no more than 10 ms worth leaves at once") {
  struct Row {
    std::uint64_t rate;
    FecSettings fec;
    double loss;
  };
  const auto row = GENERATE(Row{500'000, {0, 0}, 0}, Row{2'000'000, {10, 3}, 0},
                            Row{2'000'000, {10, 3}, 0.03}, Row{20'000'000, {10, 3}, 0.01});
  SimSettings s = plain_settings();
  s.client.rate_limit = row.rate;
  s.client.fec = row.fec;
  s.to_server.delay = s.to_client.delay = milliseconds(5);
  s.to_server.loss = row.loss;
  SimPair pair(s, {plan(static_cast<std::size_t>(row.rate) * 4, 0)}, 1);
  // In any interval, the bytes sent beyond `rate` are at most the burst: bytes - rate * t never rises by more
  // than that above its previous minimum.
  const double rate = static_cast<double>(row.rate);
  double lowest = 0, burst = 0, before = 0;
  const TimePoint begin = pair.now();
  const bool done = pair.run(begin + seconds(3), [&] {
    const double allowed = rate * static_cast<double>((pair.now() - begin).count()) * 1e-6;
    const double bytes = static_cast<double>(pair.network().sent_to(Role::kServer).bytes);
    lowest = std::min(lowest, before - allowed);
    burst = std::max(burst, bytes - allowed - lowest);
    before = bytes;
    return false;
  });
  INFO("rate " << row.rate << " loss " << row.loss << " burst " << burst << " sent " << before);
  CHECK_FALSE(done);  // more data is queued than the rate allows
  CHECK(pair.failure().empty());
  CHECK(burst <= rate * 0.010);
  CHECK(before >= rate * 3 * 0.98);
  CHECK(before <= rate * 3 + rate * 0.010);
}

TEST_CASE("moving bytes allocates nothing per packet") {
  // Subtract the simulated network's allocation per datagram.
  const bool compress = GENERATE(false, true);
  const bool fec = GENERATE(false, true);
  CAPTURE(compress, fec);
  SimSettings s = plain_settings();
  s.client.compress = s.server.compress = compress;
  if (!fec) s.client.fec = s.server.fec = {0, 0};
  s.to_server.delay = s.to_client.delay = milliseconds(5);
  s.to_server.arrival_granularity = s.to_client.arrival_granularity = milliseconds(1);
  SimPair pair(s, {plan(std::size_t{24} << 20, 0)}, 1);
  REQUIRE(pair.run(TimePoint(seconds(60)), [&] { return pair.server().flows.received() > 8u << 20; }));
  const std::uint64_t allocated = allocations();
  const std::uint64_t packets = packets_sent(pair);
  const std::uint64_t received = pair.server().flows.received();
  REQUIRE(pair.run(TimePoint(seconds(60)), [&] { return pair.server().flows.received() > 20u << 20; }));
  const double megabytes = static_cast<double>(pair.server().flows.received() - received) / 1e6;
  const double own =
      static_cast<double>(allocations() - allocated) - static_cast<double>(packets_sent(pair) - packets);
  CAPTURE(own, packets_sent(pair) - packets, megabytes);
  // About 800 packets per megabyte, and 100 Snappy chunks. Each chunk costs one allocation in the library,
  // and one in the receiver if it arrives in pieces.
  CHECK(own / megabytes < (compress ? 250 : 20));
}

}  // namespace kcptun::test::scenarios_test
