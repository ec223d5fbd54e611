// Fake TCP on the loopback of a private network namespace, with the kernel's real connections, filters and
// rules.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <array>
#include <catch2/catch.hpp>

#include "daemon/net/address.h"
#include "daemon/net/faketcp/client.h"
#include "daemon/net/faketcp/server.h"
#include "daemon/net/udp_socket.h"
#include "tests/daemon/own_network.h"

namespace kcptun::faketcp_test {
namespace {

using Datagram = std::vector<std::uint8_t>;

IpEndpoint at(const std::string& text) { return parse_endpoint(text).value(); }

struct Arrived {
  Path path;
  Datagram bytes;
};

/// A socket, what it has received, and a way to wait for more.
template <typename Socket>
struct End {
  explicit End(Result<std::unique_ptr<Socket>> made) {
    if (!made) FAIL(made.error());
    socket = std::move(*made);
  }
  void read() {
    DatagramSocket::Received received;
    do {
      received = socket->receive(arena);
      for (const ReceivedRun& run : received.runs)
        for (std::size_t i = 0; i < run.count(); ++i)
          arrived.push_back({run.path, {run.packet(i).data, run.packet(i).data + run.packet(i).size}});
    } while (!received.dry);
  }
  std::unique_ptr<Socket> socket;
  ReceiveArena arena;
  std::vector<Arrived> arrived;
};

/// Reads at both ends until the condition holds. False after 10 s.
template <typename A, typename B, typename Condition>
bool until(A& one, B& other, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (true) {
    one.read();
    other.read();
    if (condition()) return true;
    if (std::chrono::steady_clock::now() > deadline) return false;
    pollfd entries[] = {{one.socket->fd(), POLLIN, 0}, {other.socket->fd(), POLLIN, 0}};
    ::poll(entries, 2, 20);
  }
}

void push(TransmitBatch& batch, const Datagram& datagram) {
  std::ranges::copy(datagram, batch.next_slot());  // memcpy must not be called for an empty one
  batch.push(datagram.size());
}

Datagram filled(std::size_t size, int value) { return Datagram(size, static_cast<std::uint8_t>(value)); }

/// Sends datagrams. Returns the number accepted by the kernel.
std::uint64_t send(DatagramSocket& socket, const Path& path, const std::vector<Datagram>& datagrams) {
  TransmitBatch batch;
  batch.begin_run(path);
  for (const Datagram& datagram : datagrams) push(batch, datagram);
  const std::uint64_t before = socket.counters().datagrams_sent;
  DatagramSocket* sockets[] = {&socket};
  const BatchSendResult result = send_batch(sockets, batch, 0);
  CHECK(result.position == batch.size());
  return socket.counters().datagrams_sent - before;
}

FakeTcpSocket::Options roomy() {
  FakeTcpSocket::Options options;
  options.buffer_bytes = 4 << 20;
  return options;
}

template <typename T>
T must(Result<T> made) {
  if (!made) FAIL(made.error());
  return std::move(*made);
}

struct Pair {
  explicit Pair(const std::string& address, const FakeTcpSocket::Options& options = roomy())
      : firewall(must(Firewall::open())),
        server(FakeTcpServer::listen(at(address), {}, options)),
        client(FakeTcpClient::connect(at(address), roomy(), *firewall)) {}
  bool connect() {
    send(*client.socket, {}, {filled(1, 0)});
    return until(client, server, [this] { return server.arrived.size() == 1; });
  }
  std::unique_ptr<Firewall> firewall;
  End<FakeTcpServer> server;
  End<FakeTcpClient> client;
};

/// Sends a segment with forged addresses unchanged.
void inject(const IpEndpoint& from, const IpEndpoint& to, Datagram segment) {
  const int fd = ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
  const SocketAddress source = to_sockaddr(from), name = to_sockaddr(to);
  REQUIRE(::bind(fd, source.get(), source.size) == 0);
  REQUIRE(::sendto(fd, segment.data(), segment.size(), 0, name.get(), name.size) ==
          static_cast<ssize_t>(segment.size()));
  ::close(fd);
}

Datagram segment_of(const IpEndpoint& from, const IpEndpoint& to, std::uint32_t sequence, std::uint8_t flags,
                    Datagram payload) {
  TcpSegment segment;
  segment.sequence = sequence;
  segment.flags = flags;
  segment.payload = payload;
  Datagram bytes(kTcpHeader);
  write_tcp_header(std::span<std::uint8_t, kTcpHeader>(bytes.data(), kTcpHeader), segment, from, to);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

}  // namespace

TEST_CASE("datagrams go both ways in the disguise, over IPv4 and IPv6, in batches and one by one") {
  test::in_own_network([] {
    for (const std::string address : {"127.0.0.1:4000", "[::1]:4000"}) {
      Pair pair(address);
      // Datagrams sent before the handshake is complete wait for it.
      CHECK(send(*pair.client.socket, {}, {filled(700, 1), filled(0, 0), filled(1500, 2)}) == 0);
      REQUIRE(until(pair.client, pair.server, [&] { return pair.server.arrived.size() == 2; }));
      CHECK(pair.server.arrived[0].bytes == filled(700, 1));
      CHECK(pair.server.arrived[1].bytes == filled(1500, 2));
      const Path back = pair.server.arrived[0].path;
      CHECK(back.remote == pair.client.socket->local());
      CHECK(back.local == at(address));
      std::vector<Datagram> many;
      for (int i = 0; i < 128; ++i) many.push_back(filled(i % 5 == 4 ? 60 : 1350, i));
      CHECK(send(*pair.server.socket, back, many) == 128);
      REQUIRE(until(pair.client, pair.server, [&] { return pair.client.arrived.size() == 128; }));
      for (std::size_t i = 0; i < many.size(); ++i) CHECK(pair.client.arrived[i].bytes == many[i]);
      CHECK(pair.server.socket->counters().misrouted == 0);
      CHECK(pair.server.socket->connections() == 1);
    }
  });
}

TEST_CASE("a wildcard address serves both families, and each client is answered from the address it asked") {
  test::in_own_network([] {
    const std::array<std::uint16_t, 2> ports{4000, 4010};
    End<FakeTcpServer> server(FakeTcpServer::listen(at(":4000"), ports, {}, {}));
    auto firewall = must(Firewall::open());
    for (const std::string address : {"127.0.0.3:4000", "[::1]:4010"}) {
      End<FakeTcpClient> client(FakeTcpClient::connect(at(address), {}, *firewall));
      server.arrived.clear();
      send(*client.socket, {}, {filled(9, 1)});
      REQUIRE(until(client, server, [&] { return server.arrived.size() == 1; }));
      CHECK(server.arrived[0].path.local == at(address));
      CHECK(send(*server.socket, server.arrived[0].path, {filled(8, 2)}) == 1);
      REQUIRE(until(client, server, [&] { return client.arrived.size() == 1; }));
      CHECK(client.arrived[0].path.remote == at(address));
    }
  });
}

TEST_CASE("loops that share a port get each connection whole, by the clients' ports") {
  test::in_own_network([] {
    auto firewall = must(Firewall::open());
    for (const std::string address : {"127.0.0.1:4000", "[::1]:4000"}) {
      End<FakeTcpServer> even(FakeTcpServer::listen(at(":4000"), {0, 2}, {}));
      End<FakeTcpServer> odd(FakeTcpServer::listen(at(":4000"), {1, 2}, {}));
      std::vector<std::unique_ptr<End<FakeTcpClient>>> clients;
      for (int i = 0; i < 16; ++i) {
        clients.push_back(
            std::make_unique<End<FakeTcpClient>>(FakeTcpClient::connect(at(address), {}, *firewall)));
        send(*clients.back()->socket, {}, {filled(5, i)});
      }
      REQUIRE(until(even, odd, [&] {
        for (auto& client : clients) client->read();
        return even.arrived.size() + odd.arrived.size() == clients.size();
      }));
      for (const Arrived& one : even.arrived) CHECK(one.path.remote.port % 2 == 0);
      for (const Arrived& one : odd.arrived) CHECK(one.path.remote.port % 2 == 1);
      CHECK(even.socket->counters().misrouted + odd.socket->counters().misrouted == 0);
    }
  });
}

TEST_CASE("segments of nobody's connection, with lies, and resets by guess are counted and dropped") {
  test::in_own_network([] {
    Pair pair("127.0.0.1:4000");
    REQUIRE(pair.connect());
    const IpEndpoint client = pair.client.socket->local(), server = at("127.0.0.1:4000");
    const auto& counters = pair.server.socket->counters();
    const auto counted = [&](std::uint64_t misrouted, std::uint64_t malformed) {
      return until(pair.client, pair.server,
                   [&] { return counters.misrouted == misrouted && counters.malformed == malformed; });
    };
    for (std::uint16_t port = 1; port <= 50; ++port) {  // no memory is allocated for them
      IpEndpoint stranger = client;
      stranger.port = port;
      inject(stranger, server, segment_of(stranger, server, 1, kTcpPsh | kTcpAck, filled(100, 1)));
    }
    CHECK(counted(50, 0));
    CHECK(pair.server.socket->connections() == 1);
    Datagram wrong = segment_of(client, server, 1, kTcpPsh | kTcpAck, filled(100, 1));
    wrong.back() ^= 1;
    inject(client, server, wrong);
    wrong = segment_of(client, server, 1, kTcpPsh | kTcpAck, filled(1501, 1));
    inject(client, server, wrong);
    inject(client, server, segment_of(client, server, 1, kTcpPsh | kTcpAck, {}));
    wrong = segment_of(client, server, 1, kTcpPsh | kTcpAck, filled(100, 1));
    wrong[12] = 0xf0;
    wrong.resize(30);  // shorter than its options
    inject(client, server, wrong);
    CHECK(counted(50, 4));
    inject(client, server, segment_of(client, server, 12345, kTcpRst, {}));
    CHECK(counted(51, 4));
    CHECK(pair.server.socket->connections() == 1);
    CHECK(pair.server.arrived.size() == 1);
    // To another port: the filter drops it.
    inject(client, at("127.0.0.1:4001"), segment_of(client, at("127.0.0.1:4001"), 1, kTcpPsh, filled(9, 1)));
    send(*pair.client.socket, {}, {filled(2, 2)});
    CHECK(until(pair.client, pair.server, [&] { return pair.server.arrived.size() == 2; }));
    CHECK(counters.misrouted == 51);
  });
}

TEST_CASE("the server forgets a connection that ends, and the client begins a new one when it has to send") {
  test::in_own_network([] {
    Pair pair("127.0.0.1:4000");
    REQUIRE(pair.connect());
    const IpEndpoint first = pair.client.socket->local();
    pair.client.socket.reset();
    pair.client.socket = must(FakeTcpClient::connect(at("127.0.0.1:4000"), {}, *pair.firewall));
    REQUIRE(until(pair.client, pair.server, [&] { return pair.server.socket->connections() == 1; }));
    send(*pair.client.socket, {}, {filled(3, 3)});
    REQUIRE(until(pair.client, pair.server, [&] { return pair.server.arrived.size() == 2; }));
    CHECK(pair.server.arrived[1].path.remote != first);
    // A restarted server does not have the connection. Its kernel answers the first segment with a reset that
    // repeats the segment's number.
    pair.server.socket.reset();
    pair.server.socket = must(FakeTcpServer::listen(at("127.0.0.1:4000"), {}, {}));
    REQUIRE(until(pair.client, pair.server, [&] {
      send(*pair.client.socket, {}, {filled(4, 4)});
      return pair.server.arrived.size() > 2;
    }));
    CHECK(pair.server.arrived[2].bytes == filled(4, 4));
  });
}

TEST_CASE("a client whose server is not there yet finds it once it is") {
  test::in_own_network([] {
    auto firewall = must(Firewall::open());
    End<FakeTcpClient> client(FakeTcpClient::connect(at("127.0.0.1:4000"), {}, *firewall));
    REQUIRE(until(client, client, [&] { return client.socket->counters().pending_errors > 0; }));
    End<FakeTcpServer> server(FakeTcpServer::listen(at("127.0.0.1:4000"), {}, {}));
    CHECK(until(client, server, [&] {
      send(*client.socket, {}, {filled(7, 7)});
      return !server.arrived.empty();
    }));
  });
}

TEST_CASE("the connection that was silent for longest makes way for one too many") {
  test::in_own_network([] {
    FakeTcpSocket::Options two;
    two.max_connections = 2;
    Pair pair("127.0.0.1:4000", two);
    REQUIRE(pair.connect());
    const auto join = [&](std::size_t expected) {
      auto client = std::make_unique<End<FakeTcpClient>>(
          FakeTcpClient::connect(at("127.0.0.1:4000"), {}, *pair.firewall));
      send(*client->socket, {}, {filled(1, 1)});
      CHECK(until(*client, pair.server, [&] { return pair.server.arrived.size() == expected; }));
      CHECK(pair.server.socket->connections() <= 2);
      return client;
    };
    const auto second = join(2);
    send(*pair.client.socket, {}, {filled(1, 1)});  // now the second one is the least recently active
    CHECK(until(pair.client, pair.server, [&] { return pair.server.arrived.size() == 3; }));
    const auto third = join(4);
    const Path first_path = pair.server.arrived[2].path, second_path = pair.server.arrived[1].path;
    CHECK(send(*pair.server.socket, first_path, {filled(1, 1)}) == 1);
    CHECK(send(*pair.server.socket, second_path, {filled(1, 1)}) == 0);
    CHECK(pair.server.socket->counters().datagrams_dropped == 1);
  });
}

TEST_CASE("the kernel's own connection stays idle: no data, no answers") {
  test::in_own_network([] {
    Pair pair("127.0.0.1:4000");
    REQUIRE(pair.connect());
    // A separate raw socket captures all TCP on this loopback: from now on there may be only PSH|ACK segments
    // with payload.
    const int watcher = ::socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    const int room = 4 << 20;
    ::setsockopt(watcher, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    std::vector<Datagram> many(50, filled(1000, 1));
    send(*pair.client.socket, {}, many);
    REQUIRE(until(pair.client, pair.server, [&] { return pair.server.arrived.size() == 51; }));
    send(*pair.server.socket, pair.server.arrived[0].path, many);
    REQUIRE(until(pair.client, pair.server, [&] { return pair.client.arrived.size() == 50; }));
    int seen = 0;
    Datagram bytes(2048);
    for (ssize_t size; (size = ::recv(watcher, bytes.data(), bytes.size(), 0)) > 0; ++seen) {
      const auto packet = parse_ipv4_packet(MutableBytes(bytes).first(static_cast<std::size_t>(size)));
      REQUIRE(packet);
      const auto segment = parse_tcp_segment(packet->payload);
      REQUIRE(segment);
      CHECK(segment->flags == (kTcpPsh | kTcpAck));
      CHECK(segment->payload.size() == 1000);
    }
    CHECK(seen == 100);
    ::close(watcher);
  });
}

}  // namespace kcptun::faketcp_test
