// Selection among a server's addresses. Servers are links in memory, or sockets that do not answer.
#include "daemon/client/address_race.h"

#include "daemon/client/server_finder.h"
#include "daemon/worker/tunnel_sockets.h"
#include "tests/daemon/daemon_harness.h"

namespace kcptun::address_race_test {
namespace {

using test::loopback;
using test::Peer;
using test::RawPeer;
using test::World;

struct RaceRig {
  RaceRig() : loop(test::make_engine(profile)), peer(Role::kServer, profile.link, test::must_bind()) {
    world.add(*loop);
    world.add(peer);
  }
  Result<std::unique_ptr<DatagramSocket>> open(const IpEndpoint& remote, std::uint32_t index) {
    Result<UdpSocket> socket = UdpSocket::connect(remote, udp_options(profile, index));
    if (!socket) return Error{socket.error()};
    return std::unique_ptr<DatagramSocket>(std::make_unique<UdpSocket>(std::move(*socket)));
  }
  void race(std::vector<IpEndpoint> addresses) {
    running = std::make_unique<AddressRace>(profile, *loop, random, opener, HostPort{"name", 0, 0},
                                            std::move(addresses), [this](std::optional<IpEndpoint> first) {
                                              running.reset();
                                              ended = true;
                                              winner = first;
                                            });
    loop->flush();
  }

  Profile profile = test::plain_profile(Role::kClient);
  test::OwnedEngine loop;
  Random random{7};
  Peer peer;
  World world;
  OpenSocket opener = [this](const IpEndpoint& remote, std::uint32_t index) {
    IpEndpoint at = remote;
    // The race uses one port for all addresses: here each address has its own.
    at.port = ports.at(attempts++);
    return open(at, index);
  };
  std::vector<std::uint16_t> ports;
  std::size_t attempts = 0;
  std::unique_ptr<AddressRace> running;
  bool ended = false;
  std::optional<IpEndpoint> winner;
};

IpEndpoint named(std::uint16_t last) { return loopback(last); }

}  // namespace

TEST_CASE("the first of a server's addresses wins when it answers, and the others are not asked") {
  RaceRig rig;
  RawPeer silent;
  rig.world.add(silent);
  rig.ports = {rig.peer.port(), silent.port()};
  rig.race({named(1), named(2)});
  CHECK(rig.world.until([&] { return rig.ended; }));
  CHECK(rig.winner == named(1));
  CHECK(silent.heard.empty());
}

TEST_CASE("while the first of a server's addresses is silent the next are asked, too") {
  RaceRig rig;
  RawPeer silent[2];
  for (RawPeer& one : silent) rig.world.add(one);
  rig.ports = {silent[0].port(), silent[1].port(), rig.peer.port()};
  rig.race({named(1), named(2), named(3)});
  CHECK(rig.world.until([&] { return rig.ended; }));
  CHECK(rig.winner == named(3));
  CHECK_FALSE(silent[0].heard.empty());
  CHECK_FALSE(silent[1].heard.empty());
}

TEST_CASE("where none of a server's addresses answers, none wins") {
  RaceRig rig;
  RawPeer silent[2];
  for (RawPeer& one : silent) rig.world.add(one);
  rig.ports = {silent[0].port(), silent[1].port()};
  rig.race({named(1), named(2)});
  CHECK(rig.world.until([&] { return rig.ended; }));
  CHECK_FALSE(rig.winner);
}

TEST_CASE("addresses to which there is no way cost no time") {
  RaceRig rig;
  rig.opener = [&rig](const IpEndpoint& remote,
                      std::uint32_t index) -> Result<std::unique_ptr<DatagramSocket>> {
    ++rig.attempts;
    if (remote != named(0)) return Error{"no route"};
    return rig.open(loopback(rig.peer.port()), index);
  };
  const IpEndpoint far = parse_ip("192.0.2.1", 0).value();
  SECTION("beside one that answers") {
    rig.race({far, far, named(0)});
    CHECK(rig.attempts == 3);  // immediately
    CHECK(rig.world.until([&] { return rig.ended; }));
    CHECK(rig.winner == named(0));
  }
  SECTION("alone: then there is no winner") {
    rig.race({far, far});
    CHECK(rig.world.until([&] { return rig.ended; }));
    CHECK_FALSE(rig.winner);
  }
}

TEST_CASE("a race has at most so many attempts") {
  RaceRig rig;
  rig.opener = [&rig](const IpEndpoint&, std::uint32_t) -> Result<std::unique_ptr<DatagramSocket>> {
    ++rig.attempts;
    return Error{"no route"};
  };
  rig.race(std::vector<IpEndpoint>(20, named(1)));
  CHECK(rig.attempts == AddressRace::kMaxAttempts);
}

}  // namespace kcptun::address_race_test
