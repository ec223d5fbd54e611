// How many listeners clients may have at a server: of one session, and of one engine.
#include <algorithm>

#include "config/profile.h"
#include "daemon/server/listener_table.h"
#include "daemon/server/server_worker.h"
#include "tests/daemon/daemon_harness.h"

namespace kcptun::listener_limits_test {
namespace {

using test::loopback;
using test::Peer;
using test::World;

constexpr std::string_view kListening = {"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0", 12};
constexpr std::string_view kFailed = {"\x05\x00\x05\x01\x00\x01\0\0\0\0\0\0", 12};

/// A server that lets clients listen at all loopback addresses, and its clients, which are links in memory.
struct ListenRig {
  ListenRig() {
    for (Profile* one : {&profile, &client_profile})
      one->link.smux.capabilities = kRequestStreams | kServerStreams;
    profile.remote = HostPort{"127.0.0.1", 9, 9};
    profile.listen_rules = parse_dial_rules("127.0.0.0/8").value();
    port = test::must_bind().local().port;
    engine = test::make_engine(profile);
    worker = std::make_unique<ServerWorker>(profile, *engine, shared, std::vector{loopback(9)});
    REQUIRE(worker->listen(loopback(port), false).ok());
    world.add(*engine);
    add_client();
  }
  ~ListenRig() { worker.reset(); }

  Peer& add_client() {
    clients.push_back(std::make_unique<Peer>(Role::kClient, client_profile.link,
                                             test::must_connect(loopback(port)),
                                             static_cast<std::uint32_t>(1000 + clients.size())));
    world.add(*clients.back());
    return *clients.back();
  }
  /// Each request is for an address of its own.
  std::uint32_t ask(Peer& client) {
    const std::uint32_t sid = client.open_stream(StreamKind::kRequest);
    const std::size_t number = asked++;
    std::string request = {"\x05\x01\x00\x05\x02\x00\x01\x7f\x01", 9};
    for (const std::size_t byte :
         {number >> 8, number & 0xff, std::size_t{port} >> 8, std::size_t{port} & 0xff})
      request += static_cast<char>(byte);
    client.stream(sid).to_send = request;
    return sid;
  }
  bool until_answered(Peer& client, std::uint32_t sid) {
    return world.until(
        [&] { return client.stream(sid).received.size() >= kListening.size() || client.stream(sid).broken; });
  }
  std::size_t listeners() const { return worker->share().listeners; }

  test::LogCapture log;
  Profile profile = test::plain_profile(Role::kServer);
  Profile client_profile = test::plain_profile(Role::kClient);
  std::uint16_t port = 0;
  std::size_t asked = 0;
  test::OwnedEngine engine;
  ServerShared shared;
  std::unique_ptr<ServerWorker> worker;
  std::vector<std::unique_ptr<Peer>> clients;
  World world;
};

}  // namespace

TEST_CASE("a session has sixteen listeners, and no more if it asks for them all at once") {
  const bool at_once = GENERATE(true, false);
  ListenRig rig;
  Peer& client = *rig.clients.front();
  std::vector<std::uint32_t> sids;
  for (std::size_t i = 0; i < kMaxReverses + 1; ++i) {
    sids.push_back(rig.ask(client));
    if (!at_once) REQUIRE(rig.until_answered(client, sids.back()));
  }
  for (const std::uint32_t sid : sids) REQUIRE(rig.until_answered(client, sid));
  const auto listens = [&client](std::uint32_t sid) { return client.stream(sid).received == kListening; };
  CHECK(std::ranges::count_if(sids, listens) == kMaxReverses);
  CHECK(std::ranges::count_if(sids, [&client](std::uint32_t sid) { return client.stream(sid).broken; }) == 1);
  CHECK(rig.listeners() == kMaxReverses);
  client.stream(*std::ranges::find_if(sids, listens)).ends = true;
  REQUIRE(rig.world.until([&] { return rig.listeners() == kMaxReverses - 1; }));
  const std::uint32_t again = rig.ask(client);
  REQUIRE(rig.until_answered(client, again));
  CHECK(client.stream(again).received == kListening);
}

TEST_CASE("an engine has 1024 listeners, and a client whose request is beyond them may ask again") {
  constexpr std::size_t kSessions = ListenerTable::kMaxListeners / kMaxReverses;
  ListenRig rig;
  while (rig.clients.size() < kSessions) rig.add_client();
  for (const auto& client : rig.clients)
    for (std::size_t i = 0; i < kMaxReverses; ++i) rig.ask(*client);
  REQUIRE(rig.world.until([&] { return rig.listeners() == ListenerTable::kMaxListeners; }));
  Peer& last = rig.add_client();
  const std::uint32_t refused = rig.ask(last);
  REQUIRE(rig.until_answered(last, refused));
  CHECK(last.stream(refused).received == kFailed);
  CHECK(rig.log.count("this server has too many listeners") == 1);
  Peer& first = *rig.clients.front();
  first.stream(first.only().streams.begin()->first).ends = true;
  REQUIRE(rig.world.until([&] { return rig.listeners() == ListenerTable::kMaxListeners - 1; }));
  const std::uint32_t taken = rig.ask(last);
  const std::uint32_t beyond = rig.ask(last);  // together
  REQUIRE(rig.until_answered(last, taken));
  REQUIRE(rig.until_answered(last, beyond));
  CHECK(last.stream(taken).received == kListening);
  CHECK(last.stream(beyond).received != kListening);
  CHECK(rig.listeners() == ListenerTable::kMaxListeners);
}

}  // namespace kcptun::listener_limits_test
