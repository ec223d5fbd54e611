#include "core/link/path_validator.h"

#include <catch2/catch.hpp>

#include "tests/link/kcp_pair.h"

namespace kcptun::test::path_validator_test {
namespace {

constexpr PacketOverhead kOverhead{20, 16, 8};
constexpr std::size_t kEchoDatagram = 20 + kSegmentHeader + 16;

/// A server whose client moves.
struct Fixture {
  Fixture() { pair.meet(); }
  std::size_t poll() { return validator.poll_packet(pair.now, packet).size; }
  /// The echo request just polled reaches the client, and the answer comes back.
  void answer(std::size_t size) {
    pair.deliver(Bytes(packet).first(size), pair.client);
    pair.now += milliseconds(20);
    pair.carry(pair.client, pair.server);
    validator.handle_echo();
  }

  KcpPair pair;
  PathValidator validator{pair.server, kOverhead};
  Buffer packet = Buffer(kMaxDatagram);
};

}  // namespace

TEST_CASE("an address that stays is validated, and no echo request is due") {
  Fixture f;
  CHECK(f.validator.validated());
  CHECK(f.poll() == 0);
  CHECK_FALSE(f.validator.next_timeout());
  CHECK(f.validator.kind() == PacketSource::Kind::kProbe);
}

TEST_CASE("an echo request leaves once three times the received bytes allow it") {
  Fixture f;
  f.validator.handle_peer_moved(f.pair.now, PathChange::kPort);
  f.pair.now += milliseconds(1);
  CHECK_FALSE(f.validator.next_timeout());
  CHECK(f.poll() == 0);
  f.validator.handle_received(0, (kEchoDatagram - 1) / PathValidation::kAmplification);
  CHECK(f.poll() == 0);
  f.validator.handle_received(1, 0);  // the suite's headers count too
  CHECK(f.validator.next_timeout() == f.pair.now);
  CHECK(f.poll() == kSegmentHeader);
  CHECK(f.poll() == 0);
  CHECK(*f.validator.next_timeout() > f.pair.now);
}

TEST_CASE("the answer validates: another port keeps what KCP knows of the path, another address does not") {
  for (const PathChange change : {PathChange::kPort, PathChange::kAddress}) {
    Fixture f;
    REQUIRE(f.pair.server.rtt().smoothed());
    f.validator.handle_peer_moved(f.pair.now, change);
    f.validator.handle_received(1, 1000);
    f.pair.now += milliseconds(1);
    const std::size_t size = f.poll();
    REQUIRE(size == kSegmentHeader);
    f.validator.handle_echo();  // nothing has come yet
    CHECK_FALSE(f.validator.validated());
    f.answer(size);
    CHECK(f.validator.validated());
    CHECK(f.pair.server.rtt().smoothed().has_value() == (change == PathChange::kPort));
  }
}

TEST_CASE("a peer that returns keeps what KCP knows of the path") {
  Fixture f;
  f.validator.handle_peer_moved(f.pair.now, PathChange::kAddress);
  f.validator.handle_peer_returned();
  CHECK(f.validator.validated());
  f.validator.handle_validated();
  CHECK(f.pair.server.rtt().smoothed());
}

}  // namespace kcptun::test::path_validator_test
