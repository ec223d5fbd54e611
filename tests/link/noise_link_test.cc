// Links and the server's table of sessions under the suite noise (docs/develop/protocol.md section 15).
#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "core/base/random.h"
#include "core/crypt/noise_suite.h"
#include "core/link/demux.h"
#include "tests/support/noise_ends.h"

namespace kcptun::test::noise_link_test {
namespace {

using noise::Kind;
using noise::Pattern;

constexpr UnixTime kWall{seconds(1700000000)};
constexpr std::uint64_t kSession = 0x1122334455667788;
constexpr std::uint32_t kMtu = 700;

using Datagram = std::vector<std::uint8_t>;

/// One machine: what its engine owns. Datagrams are what is on the wire.
struct End {
  End(const noise::Credentials& credentials, std::uint64_t seed, const LinkSettings& settings)
      : suite(credentials), secrets(seed), context(settings) {
    context.set_overhead(suite);
    context.secrets = &secrets;
    context.wall = kWall;
  }

  std::vector<Datagram> masked() {
    suite.seal(batch.packets());
    std::vector<Datagram> out;
    for (const Packet& packet : batch.packets()) out.emplace_back(packet.data, packet.data + packet.size);
    return out;
  }
  std::vector<Datagram> drain(TimePoint now, Link& link) {
    batch.clear();
    link.poll_transmit(now, Path{}, batch);
    return masked();
  }
  /// Unmasks datagrams; they live until the next call.
  std::span<const Packet> opened(std::vector<Datagram> datagrams) {
    held = std::move(datagrams);
    packets.clear();
    for (Datagram& d : held) packets.push_back({d.data(), static_cast<std::uint32_t>(d.size())});
    rejected += suite.open(packets);
    return packets;
  }
  Kind kind(Datagram datagram) {
    Packet packet{datagram.data(), static_cast<std::uint32_t>(datagram.size())};
    REQUIRE(suite.open({&packet, 1}) == 0);
    return noise::read_head(packet.data)->kind;
  }

  NoiseSuite suite;
  SeededSecrets secrets;
  LinkContext context;
  TransmitBatch batch;
  std::vector<Datagram> held;
  std::vector<Packet> packets;
  std::size_t rejected = 0;
};

Path path_from(std::uint16_t port) {
  Path path;
  path.remote.port = port;
  return path;
}

DemuxSettings demux_settings(SessionAdmission& admission, std::uint32_t worker = 0,
                             const ClientPolicy* clients = nullptr) {
  DemuxSettings settings;
  settings.admission = &admission;
  settings.worker = worker;
  settings.clients = clients;
  return settings;
}

/// Admits one client at a time.
struct OneClient final : ClientPolicy {
  bool admits(const noise::PublicKey& client) const override { return client == admitted; }
  noise::PublicKey admitted{};
};

LinkSettings plain_settings() {
  LinkSettings s;
  s.adaptive_parity = false;
  s.compress = false;
  s.fec = {2, 1};
  s.kcp.mtu = kMtu;
  return s;
}

/// A client and a server that has been there for an hour.
struct Pair {
  explicit Pair(std::uint64_t session_id = kSession, const LinkSettings& settings = plain_settings(),
                Pattern pattern = Pattern::kNNpsk0)
      : credentials(noise_credentials(pattern)),
        client(credentials.client, session_id, settings),
        server(credentials.server, 2, settings),
        link(Role::kClient, SessionName(7, session_id), client.context, now),
        replay_cache(now - seconds(3600)) {}

  void write(Link& to, std::uint32_t stream, std::size_t bytes) {
    for (const MutableBytes piece : to.prepare_write(stream, bytes))
      std::ranges::fill(piece, std::uint8_t{0x77});
    to.commit_write(stream, bytes);
  }
  std::vector<Datagram> opening_packets(std::size_t bytes = 3000) {
    sid = link.open_stream().value();
    write(link, sid, bytes);
    return client.drain(now, link);
  }
  std::vector<Datagram> more(std::size_t bytes = 100) {
    write(link, sid, bytes);
    return client.drain(now, link);
  }
  void to_server(Demux& to, const std::vector<Datagram>& datagrams, std::uint16_t port = 1) {
    to.handle_run(now, path_from(port), server.opened(datagrams));
    for (SessionEntry* c : to.take_touched()) {
      session = c;
      ++touched;
      while (const auto event = c->link.poll_event(now)) {
        if (event->type != StreamEvent::Type::kData) continue;
        got += event->data.size();
        c->link.consume(event->sid, event->data.size());
      }
      c->link.release_views();
    }
  }
  void to_server(const std::vector<Datagram>& datagrams, std::uint16_t port = 1) {
    to_server(demux, datagrams, port);
  }
  void to_client(const std::vector<Datagram>& datagrams) {
    link.handle_packets(now, client.opened(datagrams));
  }
  std::vector<Datagram> from_server() { return server.drain(now, session->link); }
  void advance(Duration by) {
    now += by;
    server.context.wall += std::chrono::floor<seconds>(by);
  }
  void establish() {
    to_server(opening_packets());
    REQUIRE(session);
    to_client(from_server());
    to_server(more());
    to_client(from_server());
    REQUIRE(link.noise()->established());
    REQUIRE(session->link.noise()->established());
  }
  bool nothing_opened() const { return demux.size() == 0 && replay_cache.size() == 0 && touched == 0; }

  TimePoint now{seconds(10000)};
  NoiseCredentials credentials;
  End client;
  End server;
  Link link;
  ReplayCache replay_cache;
  OneClient clients;  // asked under IKpsk2 only
  Demux demux{server.context, 8, demux_settings(replay_cache, 0, &clients)};
  SessionEntry* session = nullptr;
  std::uint32_t sid = 0;
  std::size_t touched = 0;
  std::size_t got = 0;
};

std::size_t largest(const std::vector<Datagram>& datagrams) {
  std::size_t size = 0;
  for (const Datagram& d : datagrams) size = std::max(size, d.size());
  return size;
}

}  // namespace

TEST_CASE("noise: data reaches the server with the first flight, and the session goes on with data packets") {
  Pair pair;
  const auto hellos = pair.opening_packets();
  for (const Datagram& d : hellos) CHECK(pair.client.kind(d) == Kind::kHello);
  pair.to_server(hellos);
  REQUIRE(pair.session);
  CHECK(pair.got == 3000);
  CHECK(pair.session->link.conv() == 7);
  CHECK(pair.session->link.anti_replay()->session() == kSession);
  const auto answers = pair.from_server();
  for (const Datagram& d : answers) CHECK(pair.server.kind(d) == Kind::kAnswer);
  pair.to_client(answers);
  CHECK(pair.link.drained());
  const auto data = pair.more();
  for (const Datagram& d : data) CHECK(pair.client.kind(d) == Kind::kData);
  pair.to_server(data);
  CHECK(pair.got == 3100);
  for (const Datagram& d : pair.from_server()) CHECK(pair.server.kind(d) == Kind::kData);
}

TEST_CASE("noise: no datagram is larger than the MTU, and all of it is used once the handshake is over") {
  Pair pair;
  const auto hellos = pair.opening_packets(5000);
  CHECK(largest(hellos) == kMtu);
  pair.to_server(hellos);
  pair.write(pair.session->link, pair.sid, 5000);
  const auto answers = pair.from_server();
  CHECK(largest(answers) == kMtu);
  pair.to_client(answers);
  const auto data = pair.more(20000);
  CHECK(largest(data) == kMtu);
  CHECK(pair.client.kind(data.back()) == Kind::kData);
  pair.to_server(data);
  pair.write(pair.session->link, pair.sid, 20000);
  const auto back = pair.from_server();
  CHECK(largest(back) == kMtu);
  CHECK(pair.server.kind(back.back()) == Kind::kData);
  // The segment size before and after.
  CHECK(pair.link.kcp().segment_size() == kMtu - 32 - 8 - 24);
  CHECK(pair.session->link.kcp().segment_size() == kMtu - 32 - 8 - 24);
}

TEST_CASE("noise: the search for the MTU waits for the handshake") {
  LinkSettings settings = plain_settings();
  settings.kcp.find_mtu = true;
  Pair pair(kSession, settings);
  pair.to_server(pair.opening_packets());
  REQUIRE(pair.session);
  for (const Datagram& d : pair.from_server()) CHECK(d.size() <= PathMtu::kFloor);
  CHECK((!pair.session->link.next_timeout() || *pair.session->link.next_timeout() > pair.now));
  pair.establish();
  CHECK(pair.session->link.kcp().segment_size() == PathMtu::kFloor - 32 - 8 - 24);
}

TEST_CASE("noise: replayed packets change nothing and draw no answer, at either end") {
  Pair pair;
  const auto hellos = pair.opening_packets();
  pair.to_server(hellos);
  const auto answers = pair.from_server();
  pair.to_client(answers);
  const auto data = pair.more();
  pair.to_server(data);
  pair.to_client(pair.from_server());
  (void)pair.client.drain(pair.now, pair.link);
  const std::size_t got = pair.got;
  pair.touched = 0;
  for (int round = 0; round < 3; ++round) {
    pair.to_server(hellos, 99);
    pair.to_server(data, 99);
    pair.to_client(answers);
  }
  CHECK(pair.got == got);
  CHECK(pair.touched == 0);
  CHECK(pair.session->path == path_from(1));
  CHECK(pair.from_server().empty());
  CHECK(pair.client.drain(pair.now, pair.link).empty());
  CHECK(pair.session->link.anti_replay()->counters().replayed == 3 * (hellos.size() + data.size()));
}

TEST_CASE("noise: a fresh packet from another address migrates the session, a forged one does not") {
  Pair pair;
  pair.establish();
  auto forged = pair.more();
  forged.resize(1);
  forged[0][20] ^= 1;
  pair.to_server(forged, 3);
  CHECK(pair.session->path == path_from(1));
  pair.to_server(pair.more(), 2);
  CHECK(pair.session->path == path_from(2));
  CHECK(pair.demux.challenges().size() == 1);
  pair.server.batch.clear();
  pair.session->link.append_challenge(pair.now, path_from(1), 5, pair.server.batch);
  pair.to_client(pair.server.masked());
  CHECK(pair.link.noise()->counters().forged == 0);
}

TEST_CASE("noise: packets for a session of another worker are forwarded, and open nothing there") {
  Pair pair;
  pair.establish();
  End other(pair.credentials.server, 3, plain_settings());
  Demux elsewhere(other.context, 8, demux_settings(pair.replay_cache, 1));
  const std::size_t before = pair.got;
  elsewhere.handle_run(pair.now, path_from(2), other.opened(pair.more(3000)));
  CHECK(elsewhere.size() == 0);
  REQUIRE(elsewhere.misrouted().size() == 1);
  CHECK(elsewhere.misrouted()[0].worker == 0);
  pair.demux.handle_forwarded(pair.now, path_from(2), elsewhere.misrouted()[0].packets);
  CHECK(pair.session->path == path_from(2));
  while (const auto event = pair.session->link.poll_event(pair.now))
    if (event->type == StreamEvent::Type::kData) pair.got += event->data.size();
  CHECK(pair.got == before + 3000);
}

TEST_CASE("noise: a batch holds many sessions' packets") {
  Pair one(1), two(2);
  auto opening = one.opening_packets();
  const auto others = two.opening_packets();
  opening.insert(opening.begin() + 1, others.begin(), others.end());
  one.to_server(opening);
  CHECK(one.demux.size() == 2);
  CHECK(one.touched == 2);
}

TEST_CASE("noise: with IKpsk2 a session opens for an admitted client only, and has its key") {
  Pair pair(kSession, plain_settings(), Pattern::kIKpsk2);
  const auto hellos = pair.opening_packets();
  CHECK(largest(hellos) == kMtu);
  pair.to_server(hellos);
  CHECK(pair.nothing_opened());
  pair.clients.admitted = pair.credentials.client.local_static->public_key;
  pair.to_server(hellos);
  REQUIRE(pair.session);
  CHECK(pair.session->client == pair.clients.admitted);
  CHECK(pair.got == 3000);
  pair.to_client(pair.from_server());
  pair.to_server(pair.more());
  pair.to_client(pair.from_server());
  CHECK(pair.link.noise()->established());
  CHECK(pair.session->link.noise()->established());
  // An open session goes on until its owner ends it.
  pair.clients.admitted = {};
  pair.to_server(pair.more());
  CHECK(pair.got == 3200);
}

TEST_CASE("noise: a client of the shared key alone, or of another server's key, opens nothing under IKpsk2") {
  Pair pair(kSession, plain_settings(), Pattern::kIKpsk2);
  const NoiseCredentials shared = noise_credentials(Pattern::kNNpsk0);
  const noise::KeyPair own = *pair.credentials.client.local_static;
  pair.clients.admitted = own.public_key;
  SeededSecrets secrets(1);
  const noise::SecretKey master = secrets.key();
  const auto elsewhere = noise::Credentials::of_client(master, own, own.public_key);
  for (const noise::Credentials* credentials : {&shared.client, &elsewhere}) {
    End other(*credentials, 3, plain_settings());
    Link link(Role::kClient, SessionName(7, kSession + 1), other.context, pair.now);
    link.open_stream();
    pair.to_server(other.drain(pair.now, link));
  }
  CHECK(pair.nothing_opened());
}

// --- what opens nothing ---

TEST_CASE("noise: garbage, and packets under another key, open nothing") {
  Pair pair;
  Random random(4);
  std::vector<Datagram> garbage;
  for (std::size_t i = 0; i < 4000; ++i) {
    Datagram& d = garbage.emplace_back(i % 1500);
    for (std::uint8_t& byte : d) byte = static_cast<std::uint8_t>(random.next());
  }
  const NoiseCredentials others = noise_credentials(Pattern::kNNpsk0, 2);
  End stranger(others.client, 5, plain_settings());
  for (std::uint64_t session = 0; session < 300; ++session) {
    Link link(Role::kClient, SessionName(7, session), stranger.context, pair.now);
    link.open_stream();
    for (Datagram& d : stranger.drain(pair.now, link)) garbage.push_back(std::move(d));
  }
  pair.to_server(garbage);
  CHECK(pair.nothing_opened());
  CHECK_FALSE(pair.demux.take_refusal());
  CHECK(pair.demux.cookie_replies().empty());
  CHECK(pair.server.rejected > garbage.size() * 9 / 10);
}

TEST_CASE("noise: a hello that is changed in any bit or cut at any length opens nothing") {
  Pair pair;
  const Datagram good = pair.opening_packets().front();
  std::vector<Datagram> forged;
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    forged.push_back(good);
    forged.back()[byte] ^= static_cast<std::uint8_t>(1 << byte % 8);
    forged.emplace_back(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(byte));
  }
  pair.to_server(forged);
  CHECK(pair.nothing_opened());
  pair.to_server({good});
  CHECK(pair.demux.size() == 1);
}

TEST_CASE("noise: data packets and parity open nothing") {
  Pair pair;
  const auto hellos = pair.opening_packets();
  REQUIRE(hellos.size() >= 3);  // 2 data, 1 parity
  Pair other;
  other.to_server({hellos[2]});
  CHECK(other.nothing_opened());
  pair.to_server(hellos);
  pair.to_client(pair.from_server());
  other.to_server(pair.more());
  CHECK(other.nothing_opened());
  other.to_server(pair.from_server());
  CHECK(other.nothing_opened());
}

TEST_CASE("noise: a recorded session opens nothing, after its end, after a restart, and at another worker") {
  Pair pair;
  std::vector<Datagram> recorded;
  const auto record = [&](std::vector<Datagram> datagrams) {
    recorded.insert(recorded.end(), datagrams.begin(), datagrams.end());
    pair.to_server(datagrams);
    pair.to_client(pair.from_server());
  };
  record(pair.opening_packets());
  for (int i = 0; i < 20; ++i) {
    pair.advance(seconds(1));
    record(pair.more(500));
  }
  pair.demux.end(pair.now, *pair.session);
  pair.session = nullptr;
  pair.touched = 0;
  SECTION("at any time after its end") {
    for (int second = 0; second < 200; ++second) {
      pair.to_server(recorded, static_cast<std::uint16_t>(1 + second));
      REQUIRE(pair.demux.size() == 0);
      pair.advance(seconds(1));
    }
  }
  SECTION("at another worker") {
    Demux elsewhere(pair.server.context, 8, demux_settings(pair.replay_cache, 1));
    pair.to_server(elsewhere, recorded);
    CHECK(elsewhere.size() == 0);
  }
  SECTION("at a server that was just started, at once and later") {
    ReplayCache new_cache(pair.now);
    Demux restarted(pair.server.context, 8, demux_settings(new_cache));
    for (int second = 0; second < 200; ++second) {
      pair.to_server(restarted, recorded);
      REQUIRE(restarted.size() == 0);
      REQUIRE(new_cache.size() == 0);
      pair.advance(seconds(1));
    }
  }
  CHECK(pair.touched == 0);
}

TEST_CASE("noise: a hello that is too old or too early opens nothing, and its time is reported") {
  Pair pair;
  const auto hellos = pair.opening_packets();
  pair.server.context.wall = kWall + ReplayCache::kMaxAge + seconds(1);
  pair.to_server(hellos);
  CHECK(pair.nothing_opened());
  CHECK(pair.demux.take_refusal()->why == SessionRefusal::kLate);
  pair.server.context.wall = kWall - ReplayCache::kMaxClockSkew - seconds(1);
  pair.to_server(hellos);
  CHECK(pair.nothing_opened());
  CHECK(pair.demux.take_refusal()->why == SessionRefusal::kEarly);
  pair.server.context.wall = kWall;
  pair.to_server(hellos);
  CHECK(pair.demux.size() == 1);
}

TEST_CASE("noise: a session that is refused for lack of a slot is not cached: it may try again") {
  Pair pair;
  Demux full(pair.server.context, 0, demux_settings(pair.replay_cache));
  pair.to_server(full, pair.opening_packets());
  CHECK(full.counters().refused > 0);
  CHECK(pair.replay_cache.size() == 0);
}

// --- under load ---

TEST_CASE("noise: under load, only clients that receive at their address open sessions") {
  Pair pair;
  Demux demux(pair.server.context, 4000, demux_settings(pair.replay_cache));
  std::uint64_t session = 1;
  for (std::uint32_t i = 0; i < HelloGate::kMaxMessages; ++i) {
    Link link(Role::kClient, SessionName(7, session++), pair.client.context, pair.now);
    link.open_stream();
    auto hello = pair.client.drain(pair.now, link);
    hello.resize(1);
    demux.handle_run(pair.now, path_from(static_cast<std::uint16_t>(i)), pair.server.opened(hello));
  }
  const std::size_t before = demux.size();
  CHECK(before > 0);
  auto hello = pair.opening_packets();
  REQUIRE(hello.size() > 1);
  demux.handle_run(pair.now, path_from(1), pair.server.opened(hello));
  CHECK(demux.size() == before);
  REQUIRE(demux.cookie_replies().size() == 1);  // for the whole run
  const Demux::CookieReply reply = demux.cookie_replies()[0];
  CHECK(reply.path == path_from(1));
  CHECK(reply.packet.size() < hello[0].size());

  pair.server.batch.clear();
  reply.append_to(pair.server.batch);
  pair.to_client(pair.server.masked());
  pair.now += seconds(2) - HelloGate::kInterval - milliseconds(100);
  pair.link.handle_timeout(pair.now);
  hello = pair.client.drain(pair.now, pair.link);
  REQUIRE_FALSE(hello.empty());
  demux.handle_run(pair.now, path_from(2), pair.server.opened(hello));
  CHECK(demux.size() == before);
  demux.handle_run(pair.now, path_from(1), pair.server.opened(hello));
  CHECK(demux.size() == before + 1);
  CHECK(demux.cookie_replies().empty());
}

// --- a server that has forgotten the session ---

TEST_CASE("noise: a client learns that its server has restarted, some seconds after the start") {
  Pair pair;
  pair.establish();
  ReplayCache new_cache(pair.now);
  Demux restarted(pair.server.context, 8, demux_settings(new_cache));
  const TimePoint started = pair.now;
  pair.to_server(restarted, pair.more());
  CHECK(restarted.size() == 0);
  while (pair.link.closed_reason().empty() && pair.now - started < seconds(20)) {
    pair.advance(milliseconds(500));
    pair.link.handle_timeout(pair.now);
    pair.session = nullptr;
    pair.to_server(restarted, pair.client.drain(pair.now, pair.link));
    if (pair.session) pair.to_client(pair.from_server());
  }
  CHECK(pair.link.closed_reason() == "the peer has restarted");
  CHECK(pair.link.peer_gone());
  CHECK(pair.now - started < seconds(8));
}

TEST_CASE("noise: a server that is only silent for a while keeps its session") {
  Pair pair;
  pair.establish();
  const TimePoint silent = pair.now;
  (void)pair.more();
  std::size_t hellos = 0;
  while (pair.now - silent < seconds(10)) {
    pair.advance(milliseconds(500));
    pair.link.handle_timeout(pair.now);
    for (const Datagram& d : pair.client.drain(pair.now, pair.link))
      hellos += pair.client.kind(d) == Kind::kHello;
  }
  CHECK(hellos > 5);
  CHECK(hellos <= 20);  // one beside each ping
  for (int i = 0; i < 20 && !pair.link.drained(); ++i) {
    pair.advance(milliseconds(500));
    pair.link.handle_timeout(pair.now);
    pair.to_server(pair.client.drain(pair.now, pair.link));
    pair.to_client(pair.from_server());
  }
  CHECK(pair.link.drained());
  CHECK(pair.link.closed_reason().empty());
  CHECK(pair.demux.size() == 1);
}

}  // namespace kcptun::test::noise_link_test
