// Datagrams between two links: sizes, losses, limits, and what shares the path with them.
#include <catch2/catch.hpp>
#include <map>
#include <numeric>
#include <vector>

#include "core/link/demux.h"

namespace kcptun::datagram_link_test {
namespace {

constexpr std::uint32_t kConv = 7;
using Wire = std::vector<std::vector<std::uint8_t>>;
using Buffer = std::vector<std::uint8_t>;

LinkSettings settings(std::uint32_t capabilities = kRequestStreams | kDatagramPackets) {
  LinkSettings s;
  s.compress = false;
  s.adaptive_parity = false;
  s.kcp.tuning = kModePresets[3].tuning;
  s.smux.capabilities = capabilities;
  return s;
}

Buffer numbers(std::size_t size, std::uint8_t first = 1) {
  Buffer out(size);
  std::iota(out.begin(), out.end(), first);
  return out;
}

Path path_from(std::uint16_t port) {
  Path path;
  path.remote.port = port;
  return path;
}

/// A client's link and a server's demux, without a suite, whose packets are carried by hand.
struct Pair {
  explicit Pair(const LinkSettings& client_settings = settings(),
                const LinkSettings& server_settings = settings())
      : client_context(client_settings),
        server_context(server_settings),
        demux(server_context, 8),
        client(Role::kClient, kConv, client_context, now) {}

  Wire drain(Link& link, const Path& path) {
    Wire out;
    bool more = true;
    while (more) {
      batch.clear();
      more = link.poll_transmit(now, path, batch);
      for (const Packet& packet : batch.packets()) out.emplace_back(packet.data, packet.data + packet.size);
    }
    return out;
  }
  Wire from_client() { return drain(client, {}); }
  Wire from_server() { return drain(session->link, session->path); }
  static std::vector<Packet> packets(Wire& wire) {
    std::vector<Packet> out;
    for (auto& one : wire) out.push_back({one.data(), static_cast<std::uint32_t>(one.size())});
    return out;
  }
  void to_server(Wire wire, std::uint16_t port = 1) {
    demux.handle_run(now, path_from(port), packets(wire));
    for (SessionEntry* touched : demux.take_touched()) session = touched;
    if (session) read(session->link, at_server);
  }
  void to_client(Wire wire) {
    client.handle_packets(now, packets(wire));
    read(client, at_client);
  }
  void read(Link& link, std::vector<Buffer>& into) const {
    while (const auto event = link.poll_event(now))
      if (event->type == StreamEvent::Type::kOpened) link.set_tag(event->sid, 100 + event->sid);
    while (const auto datagram = link.poll_datagram()) {
      CHECK(datagram->tag == 100 + datagram->sid);
      into.emplace_back(datagram->bytes.begin(), datagram->bytes.end());
    }
    link.release_views();
  }
  /// Opens a stream, and lets both ends learn what the other can.
  void begin() {
    const StreamKind kind = client_context.settings.smux.capabilities & kRequestStreams ? StreamKind::kRequest
                                                                                        : StreamKind::kPlain;
    sid = client.open_stream(kind).value();
    client.set_tag(sid, 100 + sid);
    settle();
  }
  void settle() {
    for (int i = 0; i < 3; ++i) {
      to_server(from_client());
      to_client(from_server());
      now += milliseconds(20);
    }
  }
  bool send(Link& link, const Buffer& datagram) {
    const Bytes all(datagram);
    const std::size_t cut = std::min<std::size_t>(7, all.size());
    return link.send_datagram(now, sid, all.first(cut), all.subspan(cut));
  }

  TimePoint now{seconds(100)};
  LinkContext client_context;
  LinkContext server_context;
  Demux demux;
  Link client;
  TransmitBatch batch;
  SessionEntry* session = nullptr;
  std::uint32_t sid = 0;
  std::vector<Buffer> at_client;
  std::vector<Buffer> at_server;
};

std::size_t datagram_packets(const Wire& wire) {
  return static_cast<std::size_t>(
      std::count_if(wire.begin(), wire.end(), [](const auto& one) { return is_datagram_packet(one); }));
}

}  // namespace

TEST_CASE("both ends learn that the other accepts datagrams, and only then may send them") {
  Pair pair;
  CHECK_FALSE(pair.client.can_send_datagrams());
  pair.begin();
  CHECK(pair.client.can_send_datagrams());
  CHECK(pair.session->link.can_send_datagrams());
  CHECK(pair.session->link.smux().kind(pair.sid) == StreamKind::kRequest);

  Pair old_server(settings(), settings(0));
  old_server.begin();
  CHECK_FALSE(old_server.client.can_send_datagrams());
  CHECK(old_server.session->link.can_send_datagrams());
}

TEST_CASE("datagrams of every size arrive whole, in both directions, with and without FEC") {
  LinkSettings s = settings();
  if (GENERATE(false, true)) s.fec = {3, 2};
  Pair pair(s, s);
  pair.begin();
  std::vector<Buffer> sent;
  for (const std::size_t size : {0u, 1u, 7u, 100u, 1200u, 1290u, 1300u, 1301u, 1302u, 1400u, 2600u, 65514u})
    sent.push_back(numbers(size));
  sent.push_back(numbers(kMaxFlowDatagram));
  for (const Buffer& datagram : sent) {
    CHECK(pair.send(pair.client, datagram));
    CHECK(pair.send(pair.session->link, datagram));
  }
  const Wire wire = pair.from_client();
  for (const auto& one : wire) CHECK(one.size() <= 1350);
  pair.to_server(wire);
  pair.to_client(pair.from_server());
  CHECK(pair.at_server == sent);
  CHECK(pair.at_client == sent);
  CHECK(pair.client.datagrams()->incoming.counters().malformed == 0);
}

TEST_CASE("small datagrams that wait share a packet; a single one leaves at once") {
  Pair pair;
  pair.begin();
  for (std::uint8_t i = 0; i < 10; ++i) pair.send(pair.client, numbers(100, i));
  const Wire wire = pair.from_client();
  CHECK(datagram_packets(wire) == 1);
  pair.send(pair.client, numbers(5));
  CHECK(datagram_packets(pair.from_client()) == 1);
  pair.to_server(wire);
  CHECK(pair.at_server.size() == 10);
}

TEST_CASE("a datagram too large for any number of fragments is dropped and counted") {
  LinkSettings s = settings();
  s.kcp.mtu = 150;
  Pair pair(s, s);
  pair.begin();
  CHECK(pair.send(pair.client, numbers(20'000)));
  CHECK(pair.send(pair.client, numbers(40'000)));
  CHECK_FALSE(pair.send(pair.client, Buffer(kMaxFlowDatagram + 1)));
  pair.to_server(pair.from_client());
  CHECK(pair.at_server == std::vector<Buffer>{numbers(20'000)});
  CHECK(pair.client.datagrams()->outgoing.counters().oversize == 2);
}

TEST_CASE("lost, repeated and reordered packets lose, repeat and reorder no more than they must") {
  Pair pair;
  pair.begin();
  for (std::uint8_t i = 0; i < 30; ++i) pair.send(pair.client, numbers(1000, i));
  Wire wire = pair.from_client();
  REQUIRE(wire.size() == 30);
  wire.erase(wire.begin() + 7);
  std::swap(wire[3], wire[20]);
  wire.push_back(wire[11]);
  pair.to_server(wire);
  CHECK(pair.at_server.size() == 29);
  CHECK(pair.at_server[3] == numbers(1000, 21));
  CHECK(pair.session->link.datagrams()->incoming.counters().repeated == 1);
}

TEST_CASE("datagrams of streams that are not open are counted and dropped") {
  Pair pair;
  pair.begin();
  pair.client.send_datagram(pair.now, 99, {}, numbers(5));
  pair.session->link.reset_stream(pair.sid);
  pair.send(pair.client, numbers(5));
  pair.to_server(pair.from_client());
  CHECK(pair.at_server.empty());
  CHECK(pair.session->link.datagrams()->unmatched == 2);
}

TEST_CASE("an end that did not announce datagrams ignores their packets") {
  Pair pair(settings(), settings(0));
  pair.begin();
  Buffer packet(kDatagramHeader + 20);
  write_datagram_header(packet.data(), kConv, 0);
  write_record_header(packet.data() + kDatagramHeader, pair.sid, 14, std::nullopt);
  pair.to_server({packet});
  CHECK(pair.at_server.empty());
  CHECK(pair.session->link.datagrams() == nullptr);
  CHECK(pair.session->link.kcp().counters().errors == 0);
}

TEST_CASE("a queue that cannot drain drops what is late, and what is beyond its bounds") {
  LinkSettings s = settings();
  s.rate_limit = 10'000;
  Pair pair(s, settings());
  pair.begin();
  std::size_t taken = 0;
  while (pair.send(pair.client, numbers(10'000))) ++taken;
  CHECK(taken == DatagramQueue::kMaxBytes / 10'000);
  CHECK(pair.client.datagrams()->outgoing.counters().overflowed == 1);
  pair.from_client();
  REQUIRE(pair.client.next_timeout());
  pair.now += DatagramQueue::kMaxAge;
  pair.client.handle_timeout(pair.now);
  CHECK(pair.client.datagrams()->outgoing.bytes() > 0);  // the first has begun to leave
  pair.now += DatagramReassembler::kMaxAge - DatagramQueue::kMaxAge;
  pair.client.handle_timeout(pair.now);
  CHECK(pair.client.datagrams()->outgoing.bytes() == 0);
  CHECK(pair.client.datagrams()->outgoing.counters().late == taken);
  CHECK(pair.send(pair.client, numbers(10)));
}

TEST_CASE("the number of queued datagrams is bounded, too") {
  Pair pair;
  pair.begin();
  std::size_t taken = 0;
  while (pair.send(pair.client, {})) ++taken;
  CHECK(taken == DatagramQueue::kMaxDatagrams);
}

TEST_CASE("a client that sends datagrams into silence asks whether its server is there") {
  Pair pair;
  pair.begin();
  pair.now += seconds(2);
  pair.client.handle_timeout(pair.now);
  pair.settle();
  pair.send(pair.client, numbers(10));
  pair.from_client();
  const auto sent = pair.client.kcp().counters().out_segments;
  pair.now += seconds(1);
  pair.client.handle_timeout(pair.now);
  pair.from_client();
  CHECK(pair.client.kcp().counters().out_segments > sent);
}

TEST_CASE("datagrams keep a session alive whose stream data is stuck") {
  Pair pair;
  pair.begin();
  for (int i = 0; i < 60; ++i) {
    pair.now += seconds(1);
    pair.send(pair.session->link, numbers(10));
    Wire only;
    for (auto& one : pair.from_server())
      if (is_datagram_packet(one)) only.push_back(one);
    pair.to_client(only);
    pair.client.handle_timeout(pair.now);
    pair.from_client();
  }
  CHECK(pair.client.closed_reason().empty());
}

TEST_CASE("a fresh datagram from another address moves its session; a replayed one does not") {
  Pair pair;
  pair.begin();
  pair.now += seconds(1);
  pair.send(pair.client, numbers(10));
  Wire first;
  for (auto& one : pair.from_client())
    if (is_datagram_packet(one)) first.push_back(one);
  pair.to_server(first);
  CHECK(pair.at_server.size() == 1);
  pair.to_server(first, 2);
  CHECK(pair.session->path.remote.port == 1);
  CHECK(pair.demux.counters().stale == 1);
  pair.send(pair.client, numbers(11));
  Wire second;
  for (auto& one : pair.from_client())
    if (is_datagram_packet(one)) second.push_back(one);
  pair.to_server(second, 2);
  CHECK(pair.session->path.remote.port == 2);
  CHECK_FALSE(pair.session->link.path_validated());
  CHECK(pair.at_server.size() == 2);

  // Until the address has answered, little goes there.
  for (int i = 0; i < 50; ++i) pair.send(pair.session->link, numbers(1000));
  std::size_t bytes = 0;
  for (const auto& one : pair.from_server()) bytes += one.size();
  CHECK(bytes <= PathValidation::kAmplification * second[0].size());
}

TEST_CASE("datagrams open no session, and unknown ones are counted") {
  Pair pair;
  pair.begin();
  Buffer packet(kDatagramHeader + 20);
  write_datagram_header(packet.data(), kConv + 1, 0);
  pair.to_server({packet}, 5);
  pair.to_server({packet}, 1);  // the address of another session
  CHECK(pair.demux.size() == 1);
  CHECK(pair.demux.counters().unmatched == 2);
  CHECK(pair.session->link.datagrams() == nullptr);
}

TEST_CASE("datagrams leave before stream data and take no more of a full path than it") {
  DatagramShare share;
  using Streams = DatagramShare::Streams;
  const TimePoint now{seconds(1)};
  CHECK(share.allows(now, Streams::kLeaveRoom));
  share.charge(1'000'000);
  CHECK(share.allows(now, Streams::kLeaveRoom));
  share.charge(DatagramShare::kMaxCredit);
  CHECK_FALSE(share.allows(now, Streams::kFillPath));
  share.handle_stream_bytes(1000);
  CHECK(share.allows(now, Streams::kFillPath));
  share.charge(1000 + 32 * 1024);
  CHECK_FALSE(share.allows(now, Streams::kFillPath));
  CHECK_FALSE(share.allows(share.ready_at() - milliseconds(1), Streams::kFillPath));
  CHECK(share.allows(share.ready_at(), Streams::kFillPath));
  CHECK(share.ready_at() <= now + milliseconds(1002));
}

}  // namespace kcptun::datagram_link_test
