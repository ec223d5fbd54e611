// Sessions of the authenticated suite: what is not fresh changes nothing and draws no answer
// (docs/develop/protocol.md section 11).
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "core/base/random.h"
#include "core/link/demux.h"
#include "tests/support/suites.h"

namespace kcptun::test::session_test {
namespace {

constexpr UnixTime kWall{seconds(1700000000)};
constexpr std::uint64_t kSession = 0x1122334455667788;

using Datagram = std::vector<std::uint8_t>;

const MasterKey& key() {
  static const MasterKey master("session test");
  return master;
}

/// One machine: what its engine owns. Datagrams are what is on the wire.
struct End {
  explicit End(std::uint64_t seed)
      : suite(make_suite(Cipher::kXChaCha20Poly1305, key(), seed)), context(settings()) {
    context.set_overhead(*suite);
    context.wall = kWall;
  }
  static LinkSettings settings() {
    LinkSettings s;
    s.adaptive_parity = false;
    s.compress = false;
    s.fec = {2, 1};
    return s;
  }

  std::vector<Datagram> drain(TimePoint now, Link& link) {
    batch.clear();
    link.poll_transmit(now, Path{}, batch);
    suite->seal(batch.packets());
    std::vector<Datagram> out;
    for (const Packet& packet : batch.packets()) out.emplace_back(packet.data, packet.data + packet.size);
    return out;
  }
  /// Opens datagrams; they live until the next call.
  std::span<const Packet> opened(std::vector<Datagram> datagrams) {
    held = std::move(datagrams);
    packets.clear();
    for (Datagram& d : held) packets.push_back({d.data(), static_cast<std::uint32_t>(d.size())});
    rejected += suite->open(packets);
    return packets;
  }

  std::unique_ptr<Suite> suite;
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

DemuxSettings demux_settings(SessionAdmission& admission, std::uint32_t worker = 0) {
  DemuxSettings settings;
  settings.admission = &admission;
  settings.worker = worker;
  return settings;
}

/// A client and a server that has been there for an hour.
struct Pair {
  explicit Pair(std::uint64_t session_id = kSession)
      : link(Role::kClient, SessionName(7, session_id), client.context, now),
        replay_cache(now - seconds(3600)) {}

  void write(Link& to, std::uint32_t stream, std::size_t bytes) {
    for (const MutableBytes piece : to.prepare_write(stream, bytes))
      std::ranges::fill(piece, std::uint8_t{0x77});
    to.commit_write(stream, bytes);
  }
  /// The packets that open the session and a stream.
  std::vector<Datagram> opening_packets() {
    sid = link.open_stream().value();
    write(link, sid, 3000);
    return client.drain(now, link);
  }
  void to_server(const std::vector<Datagram>& datagrams, std::uint16_t port = 1) {
    demux.handle_run(now, path_from(port), server.opened(datagrams));
    for (SessionEntry* c : demux.take_touched()) {
      session = c;
      ++touched;
      while (const auto event = c->link.poll_event(now)) {
        if (event->type == StreamEvent::Type::kData) got += event->data.size();
        if (event->type == StreamEvent::Type::kData) c->link.consume(event->sid, event->data.size());
      }
      c->link.release_views();
    }
  }
  std::vector<Datagram> from_server() { return server.drain(now, session->link); }

  TimePoint now{seconds(10000)};
  End client{1};
  End server{2};
  Link link;
  ReplayCache replay_cache;
  Demux demux{server.context, 8, demux_settings(replay_cache)};
  SessionEntry* session = nullptr;
  std::uint32_t sid = 0;
  std::size_t touched = 0;
  std::size_t got = 0;
};

/// All that a link's users can see of it.
struct Seen {
  explicit Seen(const Link& link)
      : timeout(link.next_timeout()),
        in_segments(link.kcp().counters().in_segments),
        window(link.kcp().receive_window().free()),
        streams(link.smux().streams()),
        outgoing(link.kcp().send_window().end()),
        parity(link.fec().counters().parity_received) {}
  bool operator==(const Seen&) const = default;
  std::optional<TimePoint> timeout;
  std::uint64_t in_segments;
  std::uint32_t window;
  std::size_t streams;
  std::uint32_t outgoing;
  std::uint64_t parity;
};

}  // namespace

// --- packets of an open session ---

TEST_CASE("two ends exchange packets, each once, and time stamps advance with the steady clock") {
  Pair pair;
  pair.to_server(pair.opening_packets());
  REQUIRE(pair.session);
  CHECK(pair.got == 3000);
  CHECK(pair.session->link.anti_replay()->session() == kSession);
  CHECK(pair.session->link.anti_replay()->newest_time() == 1700000000);
  pair.link.handle_packets(pair.now, pair.client.opened(pair.from_server()));
  CHECK(pair.link.drained());
  pair.now += milliseconds(2900);
  pair.client.context.wall = UnixTime(seconds(5));  // was set, meanwhile
  pair.write(pair.link, pair.sid, 100);
  pair.to_server(pair.client.drain(pair.now, pair.link));
  CHECK(pair.session->link.anti_replay()->newest_time() == 1700000002);
}

TEST_CASE("replayed packets change nothing and draw no answer, at either end") {
  Pair pair;
  const auto opening = pair.opening_packets();
  pair.to_server(opening);
  const auto answers = pair.from_server();
  REQUIRE_FALSE(answers.empty());
  pair.link.handle_packets(pair.now, pair.client.opened(answers));
  (void)pair.client.drain(pair.now, pair.link);

  const Seen server_before(pair.session->link);
  const std::size_t got = pair.got;
  pair.touched = 0;
  for (int round = 0; round < 3; ++round) pair.to_server(opening, 99);  // from elsewhere, too
  CHECK(Seen(pair.session->link) == server_before);
  CHECK(pair.got == got);
  CHECK(pair.touched == 0);
  CHECK(pair.from_server().empty());
  CHECK(pair.session->path == path_from(1));
  CHECK(pair.session->link.anti_replay()->counters().replayed == 3 * opening.size());
  CHECK(pair.demux.size() == 1);

  const Seen client_before(pair.link);
  pair.link.handle_packets(pair.now, pair.client.opened(answers));
  CHECK(Seen(pair.link) == client_before);
  CHECK(pair.client.drain(pair.now, pair.link).empty());
  CHECK(pair.link.anti_replay()->counters().replayed == answers.size());
}

TEST_CASE("packets that are sent back to their sender change nothing and draw no answer") {
  Pair pair;
  const auto opening = pair.opening_packets();
  const Seen client_before(pair.link);
  pair.link.handle_packets(pair.now, pair.client.opened(opening));
  CHECK(pair.client.rejected == 0);  // the key is right; it is the direction that is wrong
  CHECK(Seen(pair.link) == client_before);
  CHECK(pair.client.drain(pair.now, pair.link).empty());
  CHECK(pair.link.anti_replay()->counters().foreign == opening.size());

  pair.to_server(opening);
  const auto answers = pair.from_server();
  const Seen server_before(pair.session->link);
  pair.touched = 0;
  pair.to_server(answers);
  CHECK(Seen(pair.session->link) == server_before);
  CHECK(pair.touched == 0);
  CHECK(pair.from_server().empty());
  CHECK(pair.session->link.anti_replay()->counters().foreign == answers.size());
}

TEST_CASE("a forged packet, with any bit flipped or cut at any length, changes nothing and draws no answer") {
  Pair pair;
  const auto opening = pair.opening_packets();
  std::vector<Datagram> forged;
  const Datagram& good = opening.front();
  for (std::size_t byte = 0; byte < good.size(); ++byte) {
    forged.push_back(good);
    forged.back()[byte] ^= static_cast<std::uint8_t>(1 << byte % 8);
    forged.emplace_back(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(byte));
  }
  pair.to_server(forged);
  CHECK(pair.server.rejected == forged.size());
  CHECK(pair.demux.size() == 0);
  CHECK(pair.replay_cache.size() == 0);
  pair.to_server(opening);
  const Seen before(pair.session->link);
  (void)pair.from_server();
  const auto more = [&] {
    pair.write(pair.link, pair.sid, 1000);
    return pair.client.drain(pair.now, pair.link);
  }();
  const Seen drained(pair.session->link);
  for (const Datagram& d : more)
    for (std::size_t byte = 0; byte < d.size(); ++byte) {
      Datagram bad = d;
      bad[byte] ^= 0x80;
      pair.to_server({bad});
    }
  CHECK(Seen(pair.session->link) == drained);
  CHECK(pair.from_server().empty());
}

TEST_CASE("another session's packets change nothing") {
  Pair pair;
  Pair other(kSession + 1);
  pair.to_server(pair.opening_packets());
  other.to_server(other.opening_packets());
  const auto answers = other.from_server();
  const Seen before(pair.link);
  pair.link.handle_packets(pair.now, pair.client.opened(answers));
  CHECK(Seen(pair.link) == before);
  CHECK(pair.link.anti_replay()->counters().foreign == answers.size());
}

TEST_CASE("a fresh packet from another address migrates the session; a reordered one does not") {
  Pair pair;
  pair.to_server(pair.opening_packets());
  pair.write(pair.link, pair.sid, 100);
  const auto overtaken = pair.client.drain(pair.now, pair.link);
  pair.write(pair.link, pair.sid, 100);
  const auto newest = pair.client.drain(pair.now, pair.link);
  pair.to_server(newest, 2);
  CHECK(pair.session->path == path_from(2));
  pair.to_server(overtaken, 1);
  CHECK(pair.session->path == path_from(2));
  CHECK(pair.got == 3200);  // which it is taken for all the same
  CHECK(pair.demux.size() == 1);
}

TEST_CASE("packets for a session of another worker are forwarded, and open nothing there") {
  Pair pair;
  pair.to_server(pair.opening_packets());
  End other(3);
  Demux elsewhere(other.context, 8, demux_settings(pair.replay_cache, 1));
  pair.write(pair.link, pair.sid, 3000);
  const auto more = pair.client.drain(pair.now, pair.link);
  const auto packets = other.opened(more);
  elsewhere.handle_run(pair.now, path_from(2), packets);
  CHECK(elsewhere.size() == 0);
  REQUIRE(elsewhere.misrouted().size() == 1);
  CHECK(elsewhere.misrouted()[0].worker == 0);
  CHECK(elsewhere.misrouted()[0].packets.size() == more.size());  // parity too

  pair.demux.handle_forwarded(pair.now, path_from(2), elsewhere.misrouted()[0].packets);
  CHECK(pair.session->path == path_from(2));
  pair.demux.end(pair.now, *pair.session);
  pair.demux.handle_forwarded(pair.now, path_from(2), other.opened(more));
  CHECK(pair.demux.size() == 0);
}

TEST_CASE("a session moves at most so often, and takes packets from everywhere meanwhile") {
  Pair pair;
  pair.to_server(pair.opening_packets());
  for (std::uint16_t port = 2; port < 12; ++port) {
    pair.write(pair.link, pair.sid, 10);
    pair.to_server(pair.client.drain(pair.now, pair.link), port);
    pair.link.handle_packets(pair.now, pair.client.opened(pair.from_server()));
  }
  CHECK(pair.demux.counters().migrated == 1);
  CHECK(pair.got == 3100);
  pair.now += Demux::kMinMigrationInterval;
  pair.write(pair.link, pair.sid, 10);
  pair.to_server(pair.client.drain(pair.now, pair.link), 40);
  CHECK(pair.session->path == path_from(40));
}

TEST_CASE("a session returns to the address that had answered with the client's next packet") {
  Pair pair;
  pair.to_server(pair.opening_packets());
  const auto next = [&pair] {
    pair.write(pair.link, pair.sid, 10);
    return pair.client.drain(pair.now, pair.link);
  };
  pair.to_server(next(), 1);
  pair.now += seconds(1);
  pair.to_server(next(), 2);  // an attacker has forwarded it
  CHECK(pair.session->path == path_from(2));
  CHECK_FALSE(pair.session->link.path_validated());
  pair.to_server(next(), 1);
  CHECK(pair.session->path == path_from(1));
  CHECK(pair.session->link.path_validated());
}

TEST_CASE("a batch holds many sessions' packets, and bodies too short for a header") {
  Pair one(1), two(2);
  auto opening = one.opening_packets();
  const auto others = two.opening_packets();
  opening.insert(opening.begin() + 1, others.begin(), others.end());
  std::vector<Packet> packets;
  for (const Packet& packet : one.server.opened(opening)) packets.push_back(packet);
  Datagram scrap(kSessionHeader - 1, 0);
  for (std::uint32_t size = 0; size < kSessionHeader; ++size) packets.push_back({scrap.data(), size});
  one.demux.handle_run(one.now, path_from(1), packets);
  CHECK(one.demux.size() == 2);
  CHECK(one.demux.take_touched().size() == 2);
}

// --- opening sessions ---

TEST_CASE("parity opens no session, and neither does a packet of a server") {
  Pair pair;
  auto opening = pair.opening_packets();
  REQUIRE(opening.size() >= 3);  // 2 data, 1 parity
  pair.to_server({opening[2]});
  CHECK(pair.demux.size() == 0);
  CHECK(pair.replay_cache.size() == 0);
  CHECK(pair.demux.counters().unmatched == 1);
  pair.to_server(opening);
  const auto answers = pair.from_server();
  Pair elsewhere;
  elsewhere.to_server(answers);
  CHECK(elsewhere.demux.size() == 0);
}

TEST_CASE("a whole session that is replayed, after its end or after a restart, opens nothing") {
  Pair pair;
  std::vector<Datagram> recorded;
  const auto record = [&](std::vector<Datagram> datagrams) {
    recorded.insert(recorded.end(), datagrams.begin(), datagrams.end());
    pair.to_server(datagrams);
    pair.link.handle_packets(pair.now, pair.client.opened(pair.from_server()));
  };
  record(pair.opening_packets());
  for (int i = 0; i < 50; ++i) {
    pair.now += seconds(1);
    pair.server.context.wall += seconds(1);
    pair.write(pair.link, pair.sid, 500);
    record(pair.client.drain(pair.now, pair.link));
  }
  pair.demux.end(pair.now, *pair.session);
  pair.session = nullptr;
  pair.touched = 0;

  SECTION("at any time after its end") {
    for (int second = 0; second < 400; ++second) {
      pair.to_server(recorded, static_cast<std::uint16_t>(1 + second));
      REQUIRE(pair.demux.size() == 0);
      pair.now += seconds(1);
      pair.server.context.wall += seconds(1);
    }
    CHECK(pair.replay_cache.size() == 0);  // it has expired
  }
  SECTION("to a server that was just started, at once and later") {
    ReplayCache restarted_cache(pair.now);
    Demux restarted(pair.server.context, 8, demux_settings(restarted_cache));
    for (int second = 0; second < 400; ++second) {
      restarted.handle_run(pair.now, path_from(1), pair.server.opened(recorded));
      REQUIRE(restarted.size() == 0);
      pair.now += seconds(1);
      pair.server.context.wall += seconds(1);
    }
    CHECK(restarted.counters().sessions_refused == 400 * recorded.size() - restarted.counters().unmatched);
  }
  CHECK(pair.touched == 0);
}

TEST_CASE("a server that has just started admits new sessions after some seconds") {
  Pair pair;
  ReplayCache new_cache(pair.now);
  Demux demux(pair.server.context, 8, demux_settings(new_cache));
  pair.now += ReplayCache::kStartupQuarantine;
  pair.server.context.wall += std::chrono::floor<seconds>(ReplayCache::kStartupQuarantine);
  pair.client.context.wall = pair.server.context.wall;
  Link early(Role::kClient, SessionName(1, 1), pair.client.context, pair.now);
  early.open_stream();
  demux.handle_run(pair.now, path_from(1), pair.server.opened(pair.client.drain(pair.now, early)));
  CHECK(demux.size() == 0);
  CHECK(demux.take_refusal()->why == SessionRefusal::kServerJustStarted);
  CHECK_FALSE(demux.take_refusal());

  // The same session again: its next packet has a later time stamp.
  pair.now += seconds(1);
  pair.server.context.wall += seconds(1);
  early.handle_timeout(pair.now);
  demux.handle_run(pair.now, path_from(1), pair.server.opened(pair.client.drain(pair.now, early)));
  CHECK(demux.size() == 1);
}

TEST_CASE("a session that is refused for lack of a slot is not cached: it may try again") {
  Pair pair;
  Demux full(pair.server.context, 0, demux_settings(pair.replay_cache));
  full.handle_run(pair.now, path_from(1), pair.server.opened(pair.opening_packets()));
  CHECK(full.counters().refused > 0);
  CHECK(pair.replay_cache.size() == 0);
}

}  // namespace kcptun::test::session_test
