// Sessions whose client's address changes: what migrates them, and what does not.
#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "core/link/demux.h"

namespace kcptun::roaming_test {
namespace {

constexpr std::uint32_t kConv = 7;
using Datagram = std::vector<std::uint8_t>;

Path path_from(std::uint16_t port, std::uint32_t socket = 0) {
  Path path;
  path.remote.port = port;
  path.socket = socket;
  return path;
}

LinkSettings settings() {
  LinkSettings s;
  s.adaptive_parity = false;
  s.compress = false;
  s.kcp.tuning = kModePresets[3].tuning;
  return s;
}

struct Directory final : SessionDirectory {
  std::uint32_t claim(std::uint32_t conv, std::uint32_t worker) override {
    return owners.try_emplace(conv, worker).first->second;
  }
  void release(std::uint32_t conv) override { owners.erase(conv); }
  std::map<std::uint32_t, std::uint32_t> owners;
};

/// A client's link whose packets are carried by hand to the server's demux, without a suite.
struct Fixture {
  explicit Fixture(const DemuxSettings& demux_settings = {})
      : context(settings()), demux(context, 8, demux_settings), client(Role::kClient, kConv, context, now) {}

  /// What the client has to send now, as datagrams.
  std::vector<Datagram> from_client() { return drain(client, Path{}); }
  std::vector<Datagram> from_server() {
    REQUIRE(session);
    return drain(session->link, session->path);
  }
  std::vector<Datagram> drain(Link& link, const Path& path) {
    batch.clear();
    link.poll_transmit(now, path, batch);
    std::vector<Datagram> out;
    for (const Packet& packet : batch.packets()) out.emplace_back(packet.data, packet.data + packet.size);
    return out;
  }
  static std::vector<Packet> packets(std::vector<Datagram>& datagrams) {
    std::vector<Packet> out;
    for (Datagram& one : datagrams) out.push_back({one.data(), static_cast<std::uint32_t>(one.size())});
    return out;
  }
  /// True if the session took some of it.
  bool to_server(std::uint16_t port, std::vector<Datagram> datagrams) {
    demux.handle_run(now, path_from(port), packets(datagrams));
    for (SessionEntry* touched : demux.take_touched()) {
      session = touched;
      while (touched->link.poll_event(now)) {
      }
      touched->link.release_views();
      return true;
    }
    return false;
  }
  void to_client(std::vector<Datagram> datagrams) {
    client.handle_packets(now, packets(datagrams));
    while (client.poll_event(now)) {
    }
    client.release_views();
  }
  std::vector<Datagram> write(std::size_t bytes) {
    if (!sid) sid = client.open_stream();
    std::size_t room = 0;
    for (const MutableBytes piece : client.prepare_write(*sid, bytes)) room += piece.size();
    client.commit_write(*sid, room);
    return from_client();
  }
  std::uint16_t port() const { return session->path.remote.port; }
  void begin() {
    REQUIRE(to_server(1, write(100)));
    to_client(from_server());
    to_server(1, from_client());  // the acknowledgement of the server's mark, before time passes
    CHECK(client.kcp().send_window().empty());
    now += seconds(1);
  }
  /// Lets time pass for the server's link, which sends again what it must.
  void wait(Duration duration) {
    now += duration;
    client.handle_timeout(now);
    if (session) session->link.handle_timeout(now);
  }

  TimePoint now{seconds(100)};
  LinkContext context;
  Demux demux;
  Link client;
  TransmitBatch batch;
  SessionEntry* session = nullptr;
  std::optional<std::uint32_t> sid;
};

}  // namespace

TEST_CASE("new data from another address moves its session, and answers go there") {
  Fixture f;
  f.begin();
  const auto packets = f.write(100);
  CHECK(f.to_server(2, packets));
  CHECK(f.port() == 2);
  CHECK(f.demux.counters().migrated == 1);
  CHECK(f.demux.size() == 1);
  f.to_client(f.from_server());
  CHECK(f.client.kcp().send_window().empty());
  f.now += seconds(1);
  CHECK(f.to_server(2, f.write(100)));  // and it is known there
  CHECK(f.demux.counters().migrated == 1);
}

TEST_CASE("a replay from another address moves nothing, opens nothing and is counted") {
  Fixture f;
  const auto first = f.write(100);
  CHECK(f.to_server(1, first));
  f.to_client(f.from_server());
  const auto second = f.write(5000);
  CHECK(f.to_server(1, second));
  f.to_client(f.from_server());
  f.now += seconds(1);
  for (const auto& old : {first, second}) CHECK_FALSE(f.to_server(2, old));
  CHECK(f.port() == 1);
  CHECK(f.demux.size() == 1);
  CHECK(f.demux.counters().opened == 1);
  CHECK(f.demux.counters().stale > 0);
  CHECK(f.demux.counters().migrated == 0);
}

TEST_CASE("an acknowledgement of new data moves a session") {
  Fixture f;
  f.begin();
  f.session->link.reset_stream(*f.sid);  // the server sends the reset
  const auto fin = f.from_server();
  REQUIRE_FALSE(fin.empty());
  f.to_client(fin);
  CHECK(f.to_server(2, f.from_client()));
  CHECK(f.port() == 2);
  CHECK(f.session->link.kcp().send_window().empty());
}

TEST_CASE(
    "a client without fresh data is challenged, and migrates with the echo, which moves no other session") {
  Fixture f;
  f.begin();
  f.client.handle_new_address(f.now);
  auto lost = f.from_client();
  CHECK(f.to_server(1, lost));  // it did arrive, but its acknowledgement is lost
  f.from_server();
  f.wait(seconds(1));
  const auto again = f.from_client();  // pings, and retransmits
  REQUIRE_FALSE(again.empty());
  CHECK_FALSE(f.to_server(2, again));
  REQUIRE(f.demux.challenges().size() == 1);
  const Demux::Challenged pending = f.demux.challenges()[0];
  CHECK(pending.challenge.path.remote.port == 2);
  f.batch.clear();
  pending.session->link.append_challenge(f.now, pending.challenge.path, pending.challenge.token, f.batch);
  REQUIRE(f.batch.size() == 1);
  CHECK(f.batch.packets()[0].size < again.front().size());  // nothing is amplified
  f.to_client({Datagram(f.batch.packets()[0].data, f.batch.packets()[0].data + f.batch.packets()[0].size)});
  const auto echo = f.from_client();
  REQUIRE_FALSE(echo.empty());
  CHECK_FALSE(f.to_server(3, echo));  // recorded, and sent from elsewhere
  CHECK(f.to_server(2, echo));
  CHECK(f.port() == 2);
  CHECK_FALSE(f.to_server(3, echo));
  CHECK(f.port() == 2);
}

TEST_CASE("challenges are few, however many packets ask for them") {
  Fixture f;
  const auto old = f.write(100);
  CHECK(f.to_server(1, old));
  f.now += seconds(1);
  std::size_t challenges = 0;
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(f.to_server(static_cast<std::uint16_t>(2 + i), old));
    challenges += f.demux.challenges().size();
    f.now += milliseconds(1);
  }
  CHECK(challenges == 10);
}

TEST_CASE("a session between two addresses moves a few times a second, and loses nothing") {
  Fixture f;
  f.begin();
  for (int i = 0; i < 100; ++i) {
    CHECK(f.to_server(static_cast<std::uint16_t>(2 + i % 2), f.write(100)));
    f.to_client(f.from_server());
    f.now += milliseconds(10);
  }
  CHECK(f.client.kcp().send_window().empty());
  CHECK(f.demux.counters().migrated >= 2);
  CHECK(f.demux.counters().migrated <= 2 * 5);  // each way there may be followed by one back
}

TEST_CASE("a session returns to a validated address at any time") {
  Fixture f;
  f.begin();
  CHECK(f.to_server(2, f.write(100)));  // an attacker has forwarded it
  CHECK(f.port() == 2);
  REQUIRE(f.demux.challenges().size() == 1);  // is the client still where it was?
  CHECK(f.demux.challenges()[0].challenge.path.remote.port == 1);
  CHECK(f.to_server(1, f.write(100)));  // the client's next packet
  CHECK(f.port() == 1);
  CHECK(f.to_server(2, f.write(100)));  // again, too soon
  CHECK(f.port() == 1);
  CHECK(f.session->link.path_validated());
}

TEST_CASE("no more than three times what came from it goes to an address that has not answered") {
  Fixture f;
  f.begin();
  const auto sent_on = f.write(100);
  CHECK(f.to_server(2, sent_on));
  Link& server = f.session->link;
  std::size_t room = 0;
  for (const MutableBytes piece : server.prepare_write(*f.sid, 100'000)) room += piece.size();
  server.commit_write(*f.sid, room);
  std::size_t bytes = 0;
  std::vector<Datagram> last;
  for (int i = 0; i < 1000; ++i) {
    f.wait(milliseconds(10));
    for (const Datagram& datagram : last = f.from_server()) bytes += datagram.size();
  }
  CAPTURE(bytes);
  CHECK(bytes > 0);  // with the echo request
  CHECK(bytes <= 3 * sent_on.front().size());

  CHECK(f.to_server(2, f.write(100)));  // the client is there and goes on
  std::size_t after = 0;
  for (int i = 0; i < 100; ++i) {
    f.wait(milliseconds(10));
    const auto datagrams = f.from_server();
    for (const Datagram& datagram : datagrams) after += datagram.size();
    f.to_client(datagrams);
    f.to_server(2, f.from_client());
  }
  CHECK(f.session->link.path_validated());
  CHECK(after > room);
}

TEST_CASE(
    "a validated move to another address forgets what was known of the path; one to another port does not") {
  const bool other_address = GENERATE(false, true);
  Fixture f;
  f.begin();
  Path path = path_from(1);
  const auto answer = [&f, &path](Duration round_trip) {  // the server sends, and the client acknowledges
    Link& server = f.session->link;
    std::size_t room = 0;
    for (const MutableBytes piece : server.prepare_write(*f.sid, 10)) room += piece.size();
    server.commit_write(*f.sid, room);
    const auto datagrams = f.from_server();
    f.now += round_trip;
    f.to_client(datagrams);
    auto acknowledgements = f.from_client();
    f.demux.handle_run(f.now, path, Fixture::packets(acknowledgements));
  };
  for (int i = 0; i < 32; ++i) answer(milliseconds(20));
  const Duration before = f.session->link.kcp().rtt().smoothed().value();
  REQUIRE((before > milliseconds(19) && before <= milliseconds(20)));

  path = path_from(2);
  if (other_address) path.remote.ip[15] = 9;
  auto moving = f.write(2000);
  f.demux.handle_run(f.now, path, Fixture::packets(moving));
  REQUIRE_FALSE(f.session->link.path_validated());
  f.now += milliseconds(1);
  answer(milliseconds(300));
  CHECK(f.session->link.path_validated());
  answer(milliseconds(300));
  const Duration smoothed = f.session->link.kcp().rtt().smoothed().value();
  CHECK((smoothed > milliseconds(250)) == other_address);
}

TEST_CASE("packets cut at any length move a session only if a whole fresh segment is left") {
  Fixture f;
  f.begin();
  const Datagram whole = f.write(100).front();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(f.to_server(2, {Datagram(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))}));
    CHECK(f.port() == 1);
  }
  CHECK(f.to_server(2, {whole}));
}

TEST_CASE("a session that takes another's address leaves it only its conv") {
  Fixture f;
  f.begin();
  const Datagram other_data = [&] {
    Link other(Role::kClient, kConv + 1, f.context, f.now);
    other.open_stream();
    return f.drain(other, Path{}).front();
  }();
  SessionEntry* const first = f.session;
  CHECK(f.to_server(2, {other_data}));
  SessionEntry* const second = f.session;
  REQUIRE(second != first);
  CHECK(f.to_server(2, f.write(100)));  // the first one's client now comes from there
  CHECK(f.session == first);
  CHECK(first->path.remote.port == 2);
  CHECK(f.demux.size() == 2);
  CHECK(f.demux.end(f.now, *second)->link.conv() == kConv + 1);
  f.now += seconds(1);
  CHECK(f.to_server(2, f.write(100)));  // and keeps it
  CHECK(f.demux.end(f.now, *first)->link.conv() == kConv);
  CHECK(f.demux.size() == 0);
}

TEST_CASE("packets of another worker's session are misrouted, and so is parity that follows them") {
  Directory directory;
  directory.owners[kConv] = 1;
  Fixture f({&directory, 0, 0});
  auto datagrams = f.write(20'000);  // a group with its parity
  REQUIRE(datagrams.size() > 12);
  CHECK_FALSE(f.to_server(1, datagrams));
  REQUIRE(f.demux.misrouted().size() == 1);
  CHECK(f.demux.misrouted()[0].worker == 1);
  CHECK(f.demux.misrouted()[0].packets.size() == datagrams.size());
  CHECK(f.demux.size() == 0);
  const Datagram parity = datagrams[10];
  REQUIRE(fec_type(parity) == FecType::kParity);
  CHECK_FALSE(f.to_server(1, {parity}));
  CHECK(f.demux.misrouted().size() == 1);
  CHECK_FALSE(f.to_server(2, {parity}));  // of an unknown address
  CHECK(f.demux.misrouted().empty());
  directory.release(kConv);  // it ended there
  CHECK(f.to_server(1, {datagrams.front()}));
  CHECK(directory.owners.at(kConv) == 0);
}

TEST_CASE("forwarded packets open nothing, but may migrate a session") {
  Directory directory;
  Fixture f({&directory, 0, 0});
  auto first = f.write(100);
  f.demux.handle_forwarded(f.now, path_from(1), Fixture::packets(first));
  CHECK(f.demux.size() == 0);
  CHECK(f.to_server(1, first));
  f.to_client(f.from_server());
  auto packets = f.write(100);
  f.demux.handle_forwarded(f.now, path_from(2), Fixture::packets(packets));
  CHECK(f.port() == 2);
  f.demux.end(f.now, *f.session);
  CHECK(directory.owners.empty());
}

}  // namespace kcptun::roaming_test
