// Both ends find the path MTU, whatever the other impairments of the path.
#include <catch2/catch.hpp>

#include "tests/support/sim_pair.h"

namespace kcptun::test::path_mtu_test {
namespace {

SimSettings settings_with_mtu(std::uint32_t mtu) {
  SimSettings s;
  s.client.kcp.tuning = kModePresets[3].tuning;
  s.client.kcp.send_window = s.client.kcp.receive_window = 512;
  s.client.kcp.find_mtu = true;
  s.client.compress = false;
  s.server = s.client;
  s.to_server.delay = s.to_client.delay = milliseconds(20);
  s.to_server.rate = s.to_client.rate = 2'000'000;
  s.to_server.queue = s.to_client.queue = 200'000;
  s.to_server.mtu = s.to_client.mtu = mtu;
  return s;
}

FlowPlan transfer(std::size_t request, std::size_t answer) {
  FlowPlan p;
  p.request = request;
  p.answer = answer;
  p.opens_at = TimePoint(seconds(1));
  return p;
}

bool both_found(SimPair& pair, std::uint32_t mtu) {
  const auto found = [mtu](const Link& link) {
    return link.path_mtu()->settled() && link.path_mtu()->size() == mtu;
  };
  return found(pair.client_link()) && found(pair.server_link());
}

}  // namespace

TEST_CASE("the path's MTU is found exactly, idle and busy, with loss and without") {
  // IPv6 paths: 1280 and 1500 minus 48. An IPv4 path: 1500 minus 28. And others.
  const std::uint32_t mtu = GENERATE(1200u, 1201u, 1232u, 1350u, 1372u, 1452u, 1472u, 1500u);
  const bool busy = GENERATE(false, true);
  const double loss = GENERATE(0.0, 0.1);
  CAPTURE(mtu, busy, loss);
  SimSettings s = settings_with_mtu(mtu);
  s.to_server.loss = s.to_client.loss = loss;
  SimPair pair(s, {busy ? transfer(std::size_t{1} << 30, std::size_t{1} << 30) : transfer(1000, 1000)}, 1);
  pair.run(TimePoint(seconds(2)), [] { return false; });
  CHECK(pair.run(TimePoint(seconds(60)), [&] { return both_found(pair, mtu); }));
  CHECK(pair.failure() == "");
}

TEST_CASE("a path that shrinks in mid transfer is followed, and nothing is lost") {
  const double loss = GENERATE(0.0, 0.05);
  SimSettings s = settings_with_mtu(1472);
  s.to_server.loss = s.to_client.loss = loss;
  SimPair pair(s, {transfer(40'000'000, 40'000'000)}, 1);
  CHECK(pair.run(TimePoint(seconds(20)),
                 [&] { return pair.server().flows.received() > 0 && both_found(pair, 1472); }));
  pair.network().set_mtu(1250);
  CHECK(pair.run(pair.now() + seconds(10), [&] {
    return pair.client_link().path_mtu()->size() <= 1250 && pair.server_link().path_mtu()->size() <= 1250;
  }));
  CHECK(pair.run(pair.now() + seconds(20), [&] { return both_found(pair, 1250); }));
  CHECK(pair.run(pair.now() + seconds(120), [&] { return pair.settled(); }));
  CHECK(pair.failure() == "");
}

TEST_CASE("thin streams' repeats and second copies fit a path that shrinks") {
  SimSettings s = settings_with_mtu(1472);
  s.to_server.loss = s.to_client.loss = 0.1;
  std::vector<FlowPlan> plans;
  for (int i = 0; i < 400; ++i) {
    plans.push_back(transfer(i % 10 == 0 ? 60'000 : 300, i % 10 == 5 ? 60'000 : 300));
    plans.back().opens_at = TimePoint(milliseconds(1000 + 50 * i));
  }
  SimPair pair(s, std::move(plans), 3);
  CHECK(pair.run(TimePoint(seconds(12)), [&] { return both_found(pair, 1472); }));
  pair.network().set_mtu(1300);
  CHECK(pair.run(TimePoint(seconds(120)), [&] { return pair.settled(); }));
  CHECK(pair.client_link().kcp().send_window().counters().redundant > 0);
  CHECK(pair.failure() == "");
}

TEST_CASE("a session that begins on a path without fragments is not cut too large, and finds its size") {
  SimSettings s = settings_with_mtu(1250);
  s.to_server.fragments = s.to_client.fragments = false;
  SimPair pair(s, {transfer(20'000'000, 20'000'000)}, 1);
  CHECK(pair.run(TimePoint(seconds(120)), [&] { return pair.settled() && both_found(pair, 1250); }));
  CHECK(pair.failure() == "");
}

TEST_CASE("where not even fragments pass any more, a session whose peer is heard ends and says why") {
  SimPair pair(settings_with_mtu(1472), {transfer(40'000'000, 1000), transfer(1000, 40'000'000)}, 1);
  CHECK(pair.run(TimePoint(seconds(20)),
                 [&] { return pair.server().flows.received() > 0 && both_found(pair, 1472); }));
  pair.network().set_mtu(1300);
  pair.network().refuse_fragments();
  const TimePoint shrunk = pair.now();
  CHECK_FALSE(pair.run(shrunk + seconds(40), [] { return false; }));
  CHECK(pair.failure() ==
        "a link closed: the path carries packets of the size of before neither whole nor in fragments");
  CHECK(pair.now() - shrunk >= seconds(15));
  CHECK(pair.now() - shrunk <= seconds(25));
}

TEST_CASE("an outage says nothing about sizes, and the search costs an idle session nothing for long") {
  SimPair pair(settings_with_mtu(1472), {transfer(5'000'000, 5'000'000)}, 1);
  CHECK(pair.run(TimePoint(seconds(30)), [&] { return pair.settled() && both_found(pair, 1472); }));
  pair.network().drop_until(pair.now() + seconds(10));
  pair.run(pair.now() + seconds(10), [] { return false; });
  CHECK(both_found(pair, 1472));
  pair.run(pair.now() + seconds(20), [] { return false; });
  const auto packets = [&] {
    return pair.network().sent_to(Role::kServer).packets + pair.network().sent_to(Role::kClient).packets;
  };
  const std::uint64_t before = packets();
  pair.run(pair.now() + seconds(100), [] { return false; });
  CHECK(packets() - before < 100);
  CHECK(pair.failure() == "");
}

}  // namespace kcptun::test::path_mtu_test
