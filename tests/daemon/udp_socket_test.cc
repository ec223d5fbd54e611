// The UDP socket on real loopback sockets. Replaced system calls simulate kernel errors.
#include "daemon/net/udp_socket.h"

#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "daemon/net/address.h"
#include "tests/support/left_out.h"

namespace kcptun::udp_socket_test {
namespace {

using Datagram = std::vector<std::uint8_t>;
using State = UdpSocket::SendState;

constexpr int kPatienceMs = 10'000;
/// In packets. A receive buffer of the default 208 KiB holds this many, at 2304 bytes of kernel memory per
/// packet.
constexpr std::size_t kInFlight = 64;

IpEndpoint at(const std::string& text) { return parse_endpoint(text).value(); }

IpEndpoint with_port(const std::string& ip, std::uint16_t port) { return parse_ip(ip, port).value(); }

UdpSocket must(Result<UdpSocket> made) {
  if (!made) FAIL(made.error());
  return std::move(*made);
}

bool wait_for(const UdpSocket& socket, short events) {
  pollfd entry{socket.fd(), events, 0};
  return poll(&entry, 1, kPatienceMs) == 1;
}

Datagram pattern(std::uint32_t number, std::size_t size) {
  Datagram datagram(size);
  std::mt19937 random(number);
  for (auto& byte : datagram) byte = static_cast<std::uint8_t>(random());
  if (size >= 4) std::memcpy(datagram.data(), &number, 4);
  return datagram;
}

void push(TransmitBatch& batch, const Datagram& datagram) {
  std::memcpy(batch.next_slot(), datagram.data(), datagram.size());
  batch.push(datagram.size());
}

Path path_to(const IpEndpoint& remote, std::uint32_t socket = 0) { return {remote, {}, socket}; }

struct Arrival {
  Path path;
  Datagram bytes;
};

void append(const UdpSocket::Received& received, std::vector<Arrival>& arrivals) {
  for (const ReceivedRun& run : received.runs) {
    for (std::size_t i = 0; i < run.count(); ++i) {
      const auto bytes = run.packet(i).bytes();
      arrivals.push_back({run.path, Datagram(bytes.begin(), bytes.end())});
    }
  }
}

/// Reads until `count` datagrams have arrived or no more arrive.
std::vector<Arrival> read_some(UdpSocket& socket, ReceiveArena& arena, std::size_t count) {
  std::vector<Arrival> arrivals;
  while (arrivals.size() < count && wait_for(socket, POLLIN)) {
    bool dry = false;
    while (!dry) {
      const auto received = socket.receive(arena);
      append(received, arrivals);
      dry = received.dry;
    }
  }
  return arrivals;
}

/// Sends the whole batch and waits when the socket requires it. Returns the number of dropped packets.
std::size_t send_all(UdpSocket& socket, const TransmitBatch& batch) {
  std::size_t dropped = 0;
  for (std::size_t position = 0; position < batch.size();) {
    const auto result = socket.send(batch, position);
    position += result.consumed;
    dropped += result.dropped;
    if (result.state == State::kWouldBlock && !wait_for(socket, POLLOUT)) FAIL("never writable again");
    if (result.state == State::kDone && position < batch.size()) FAIL("stopped early");
  }
  return dropped;
}

void send_one(UdpSocket& socket, const Path& path, const Datagram& datagram) {
  TransmitBatch batch;
  batch.begin_run(path);
  push(batch, datagram);
  REQUIRE(send_all(socket, batch) == 0);
}

/// Sizes as in a tunnel: runs of full packets, a shorter one, small ones, a growing one.
std::size_t next_size(std::mt19937& random) {
  static constexpr std::size_t kSizes[] = {1350, 1350, 1350, 1350, 1350, 1350, 52, 52, 1500, 1, 4, 700};
  return kSizes[random() % std::size(kSizes)];
}

/// Reads until `count` datagrams of that sender have arrived. Others may arrive, because ports are reused and
/// another program may still send to the port's previous owner. Adds their number to `misrouted`.
std::vector<Arrival> read_from(UdpSocket& socket, ReceiveArena& arena, std::size_t count,
                               std::uint16_t sender_port, std::size_t& misrouted) {
  std::vector<Arrival> arrivals;
  while (arrivals.size() < count) {
    const auto more = read_some(socket, arena, count - arrivals.size());
    if (more.empty()) break;
    for (const Arrival& arrival : more) {
      if (arrival.path.remote.port == sender_port) {
        arrivals.push_back(arrival);
      } else {
        ++misrouted;
      }
    }
  }
  return arrivals;
}

/// Sends `total` datagrams through the pair, batch by batch, and checks each byte in order.
void check_round_trip(UdpSocket& sender, UdpSocket& receiver, const Path& path, std::uint32_t total) {
  ReceiveArena arena;
  TransmitBatch batch;
  std::mt19937 random(20240);
  INFO("seed 20240");
  std::size_t misrouted = 0;
  for (std::uint32_t number = 0; number < total;) {
    const std::uint32_t first = number;
    batch.clear();
    batch.begin_run(path);
    std::vector<Datagram> expected;
    for (; batch.size() < kInFlight && number < total; ++number) {
      expected.push_back(pattern(number, random() % 8 == 0 ? next_size(random) : 1350));
      push(batch, expected.back());
    }
    REQUIRE(send_all(sender, batch) == 0);
    const auto arrivals = read_from(receiver, arena, expected.size(), sender.local().port, misrouted);
    REQUIRE(arrivals.size() == expected.size());
    for (std::size_t i = 0; i < arrivals.size(); ++i) {
      if (arrivals[i].bytes != expected[i]) FAIL("datagram " << first + i << " differs");
    }
  }
  CHECK(sender.counters().datagrams_sent == total);
  CHECK(receiver.counters().datagrams_received == total + misrouted);
  CHECK(sender.counters().bytes_sent == receiver.counters().bytes_received);
  CHECK(sender.counters().datagrams_dropped == 0);
}

/// A sendmmsg with scripted results.
struct Script {
  struct Step {
    int error = 0;       // fail with this errno, or
    unsigned allow = 0;  // let this many messages pass
  };
  std::deque<Step> steps;
  int gso_error = 0;  // for any first message with UDP_SEGMENT
  int calls = 0;
};
Script script;

bool asks_for_segments(const mmsghdr& message) {
  auto* header = const_cast<msghdr*>(&message.msg_hdr);
  for (cmsghdr* control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
    if (control->cmsg_level == SOL_UDP) return true;
  }
  return false;
}

int refuse(int error) {
  errno = error;
  return -1;
}

int scripted_send(int fd, mmsghdr* messages, unsigned count, int flags) {
  ++script.calls;
  if (script.gso_error) {
    unsigned plain = 0;
    while (plain < count && !asks_for_segments(messages[plain])) ++plain;
    return plain == 0 ? refuse(script.gso_error) : ::sendmmsg(fd, messages, plain, flags);
  }
  if (script.steps.empty()) return ::sendmmsg(fd, messages, count, flags);
  const Script::Step step = script.steps.front();
  script.steps.pop_front();
  return step.error ? refuse(step.error) : ::sendmmsg(fd, messages, std::min(count, step.allow), flags);
}

UdpOptions scripted() {
  script = {};
  UdpOptions options;
  options.syscalls.send = scripted_send;
  return options;
}

int no_such_send(int, mmsghdr*, unsigned, int) { return refuse(ENOSYS); }
int no_such_receive(int, mmsghdr*, unsigned, int, timespec*) { return refuse(ENOSYS); }

/// Runs `body` on a thread in a new network namespace that a shell command sets up. Skipped if that fails,
/// which is an error if the machine has what the setup needs.
template <typename Body>
void in_namespace(const std::string& need, const std::string& setup, Body body) {
  bool made = false;
  std::thread([&] {
    made = unshare(CLONE_NEWNET) == 0 && std::system(("(" + setup + ") >/dev/null 2>&1").c_str()) == 0;
    if (made) body();
  }).join();
  if (!made) test::left_out(need, setup);
}

struct Pair {
  UdpSocket server;
  UdpSocket client;
};

Pair make_pair(const std::string& ip, const UdpOptions& server_options, const UdpOptions& client_options) {
  UdpSocket server = must(UdpSocket::bind(with_port(ip, 0), server_options));
  UdpSocket client = must(UdpSocket::connect(with_port(ip, server.local().port), client_options));
  return {std::move(server), std::move(client)};
}

Pair make_pair() { return make_pair("127.0.0.1", {}, {}); }

TEST_CASE("ten thousand datagrams of mixed sizes pass with GSO and GRO, both families, both directions") {
  for (std::string ip : {"127.0.0.1", "::1"}) {
    auto [server, client] = make_pair(ip, {}, {});
    INFO(ip);
    check_round_trip(client, server, path_to(client.remote()), 10'000);
    CHECK(client.uses_gso());
    CHECK(server.uses_gro());
    CHECK(client.counters().gso_messages > 0);
    CHECK(client.counters().gso_fallbacks == 0);
    CHECK(server.counters().gro_messages > 0);
    CHECK(client.counters().send_calls < 200);
    auto [server2, client2] = make_pair(ip, {}, {});
    check_round_trip(server2, client2, path_to(client2.local()), 10'000);
    CHECK(client2.counters().gro_messages > 0);
  }
}

TEST_CASE("every combination of missing kernel features carries the same bytes") {
  for (unsigned bits = 0; bits < 16; ++bits) {
    UdpOptions sends, receives;
    sends.gso = bits & 1;
    sends.mmsg = bits & 2;
    receives.gro = bits & 4;
    receives.mmsg = bits & 8;
    INFO("combination " << bits);
    auto [server, client] = make_pair("127.0.0.1", receives, sends);
    check_round_trip(client, server, path_to(client.remote()), 1'000);
    CHECK((client.counters().gso_messages > 0) == sends.gso);
    CHECK((server.counters().gro_messages > 0) == (sends.gso && receives.gro));
  }
}

TEST_CASE("a kernel without sendmmsg and recvmmsg is found out at the first call") {
  UdpOptions options;
  options.syscalls = {no_such_send, no_such_receive};
  auto [server, client] = make_pair("127.0.0.1", options, options);
  check_round_trip(client, server, path_to(client.remote()), 1'000);
}

TEST_CASE("a kernel that refuses GSO gets the same packets plain, and is not asked again") {
  for (int error : {ENOPROTOOPT, EOPNOTSUPP}) {
    auto [server, client] = make_pair("127.0.0.1", {}, scripted());
    script.gso_error = error;
    check_round_trip(client, server, path_to(client.remote()), 1'000);
    CHECK_FALSE(client.uses_gso());
    CHECK(client.counters().gso_fallbacks == 1);
    CHECK(client.counters().gso_messages == 0);
  }
}

/// Sends a batch of ten packets to a peer that does not read them.
void send_ten(UdpSocket& sender, const IpEndpoint& peer) {
  TransmitBatch batch;
  batch.begin_run(path_to(peer));
  for (std::uint32_t i = 0; i < 10; ++i) push(batch, pattern(i, 100));
  REQUIRE(send_all(sender, batch) == 0);
}

TEST_CASE("a device that refuses GSO costs that peer's path alone, and only for a while") {
  UdpSocket sender = must(UdpSocket::bind(at("127.0.0.1:0"), scripted()));
  UdpSocket behind_it = must(UdpSocket::bind(at("127.0.0.1:0"), {}));
  UdpSocket elsewhere = must(UdpSocket::bind(at("127.0.0.1:0"), {}));
  script.gso_error = EIO;
  send_ten(sender, behind_it.local());
  script.gso_error = 0;
  CHECK(sender.counters().gso_fallbacks == 1);
  CHECK(sender.uses_gso());
  send_ten(sender, behind_it.local());
  CHECK(sender.counters().gso_messages == 0);  // the rejection is remembered
  send_ten(sender, elsewhere.local());
  CHECK(sender.counters().gso_messages == 1);
  while (sender.counters().datagrams_sent < 10 + UdpSocket::kRetryGsoAfter - 10)
    send_ten(sender, elsewhere.local());
  const std::uint64_t before = sender.counters().gso_messages;
  while (sender.counters().datagrams_sent < UdpSocket::kRetryGsoAfter) send_ten(sender, behind_it.local());
  CHECK(sender.counters().gso_messages == before);
  send_ten(sender, behind_it.local());
  CHECK(sender.counters().gso_messages == before + 1);  // the route has changed
  CHECK(sender.counters().gso_fallbacks == 1);
}

TEST_CASE("a device that refuses GSO to peer after peer is left alone for a while") {
  UdpSocket sender = must(UdpSocket::bind(at("127.0.0.1:0"), scripted()));
  std::vector<UdpSocket> peers;
  for (std::size_t i = 0; i <= UdpSocket::kMaxGsoRejections; ++i)
    peers.push_back(must(UdpSocket::bind(at("127.0.0.1:0"), {})));
  script.gso_error = EIO;
  for (std::size_t i = 0; i < UdpSocket::kMaxGsoRejections; ++i) {
    CHECK(sender.uses_gso());
    send_ten(sender, peers[i].local());
  }
  CHECK_FALSE(sender.uses_gso());
  send_ten(sender, peers.back().local());
  CHECK(sender.counters().gso_fallbacks == UdpSocket::kMaxGsoRejections);
  script.gso_error = 0;
  while (!sender.uses_gso()) send_ten(sender, peers.back().local());
  CHECK(sender.counters().datagrams_sent <= 10 * UdpSocket::kMaxGsoRejections + UdpSocket::kRetryGsoAfter);
  send_ten(sender, peers.back().local());
  CHECK(sender.counters().gso_messages == 1);
}

TEST_CASE("a path whose MTU is below the segment size loses GSO for that size; other peers keep it") {
  for (int error : {EINVAL, EMSGSIZE}) {
    UdpSocket sender = must(UdpSocket::bind(at("127.0.0.1:0"), scripted()));
    UdpSocket narrow = must(UdpSocket::bind(at("127.0.0.1:0"), {}));
    UdpSocket wide = must(UdpSocket::bind(at("127.0.0.1:0"), {}));
    ReceiveArena arena;
    auto exchange = [&](UdpSocket& receiver, std::size_t size) {
      TransmitBatch batch;
      batch.begin_run(path_to(receiver.local()));
      for (std::uint32_t i = 0; i < 10; ++i) push(batch, pattern(i, size));
      REQUIRE(send_all(sender, batch) == 0);
      const auto arrivals = read_some(receiver, arena, 10);
      REQUIRE(arrivals.size() == 10);
      for (std::uint32_t i = 0; i < 10; ++i) CHECK(arrivals[i].bytes == pattern(i, size));
    };
    script.gso_error = error;
    exchange(narrow, 1400);
    CHECK(sender.counters().gso_fallbacks == 1);
    exchange(narrow, 1450);
    CHECK(sender.counters().gso_fallbacks == 1);  // the rejection is remembered
    script.gso_error = 0;
    exchange(narrow, 1400);
    CHECK(sender.counters().gso_messages == 0);
    exchange(narrow, 1200);
    CHECK(sender.counters().gso_messages == 1);
    exchange(wide, 1400);
    CHECK(sender.counters().gso_messages == 2);
    CHECK(sender.uses_gso());
  }
}

TEST_CASE("runs that must stay whole forbid fragments, the others allow them again, in one batch") {
  auto [server, client] = make_pair("127.0.0.1", {}, {});
  ReceiveArena arena;
  const auto option = [&socket = client] {
    int value = -1;
    socklen_t size = sizeof value;
    REQUIRE(getsockopt(socket.fd(), IPPROTO_IP, IP_MTU_DISCOVER, &value, &size) == 0);
    return value;
  };
  const int system = option();
  send_one(client, path_to(client.remote()), pattern(0, 100));
  CHECK(option() == system);  // no policy was requested
  TransmitBatch batch;
  for (const auto fragments : {TransmitBatch::Fragments::kAllowed, TransmitBatch::Fragments::kDontFragment}) {
    batch.begin_run(path_to(client.remote()), fragments);
    for (std::uint32_t i = 0; i < 3; ++i) push(batch, pattern(i, 1200));
  }
  CHECK(batch.runs().size() == 2);
  REQUIRE(send_all(client, batch) == 0);
  CHECK(option() == IP_PMTUDISC_PROBE);
  CHECK(read_some(server, arena, 7).size() == 7);
  send_one(client, path_to(client.remote()), pattern(0, 100));
  CHECK(option() == IP_PMTUDISC_DONT);
}

TEST_CASE("a send that stops midway is gone on with, at any place, and nothing is lost or doubled") {
  for (int error : {EAGAIN, ENOBUFS, ENOMEM}) {
    for (unsigned allow : {1u, 2u, 63u}) {
      UdpOptions options = scripted();
      options.gso = false;
      auto [server, client] = make_pair("127.0.0.1", {}, options);
      ReceiveArena arena;
      TransmitBatch batch;
      batch.begin_run(path_to(client.remote()));
      for (std::uint32_t i = 0; i < kBatchPackets; ++i) push(batch, pattern(i, 100 + i));
      script.steps = {{0, allow}, {error, 0}, {EINTR, 0}};
      const auto first = client.send(batch, 0);
      CHECK(first.state == (error == EAGAIN ? State::kWouldBlock : State::kNoBuffers));
      CHECK(first.consumed == allow);
      CHECK(first.dropped == 0);
      CHECK(client.counters().would_block == 1);
      const auto second = client.send(batch, allow);
      CHECK(second.state == State::kDone);
      CHECK(second.consumed == kBatchPackets - allow);
      const auto arrivals = read_some(server, arena, kBatchPackets);
      REQUIRE(arrivals.size() == kBatchPackets);
      for (std::uint32_t i = 0; i < kBatchPackets; ++i) CHECK(arrivals[i].bytes == pattern(i, 100 + i));
    }
  }
}

TEST_CASE("an unreachable peer costs its run only, a refused packet itself only") {
  struct Case {
    int error;
    std::size_t dropped;
    std::uint64_t too_big;
  };
  for (Case c :
       {Case{ENETUNREACH, 5, 0}, Case{EHOSTUNREACH, 5, 0}, Case{EPERM, 1, 0}, Case{EMSGSIZE, 1, 1}}) {
    UdpOptions options = scripted();
    options.gso = false;
    UdpSocket sender = must(UdpSocket::bind(at("127.0.0.1:0"), options));
    UdpSocket gone = must(UdpSocket::bind(at("127.0.0.1:0"), {}));
    UdpSocket there = must(UdpSocket::bind(at("127.0.0.1:0"), {}));
    ReceiveArena arena;
    TransmitBatch batch;
    batch.begin_run(path_to(gone.local()));
    for (std::uint32_t i = 0; i < 5; ++i) push(batch, pattern(i, 300));
    batch.begin_run(path_to(there.local()));
    for (std::uint32_t i = 5; i < 10; ++i) push(batch, pattern(i, 300));
    script.steps = {{c.error, 0}};
    const auto first = sender.send(batch, 0);
    CHECK(first.state == State::kDropped);
    CHECK(first.error == c.error);
    CHECK(first.consumed == c.dropped);
    CHECK(first.dropped == c.dropped);
    CHECK(sender.counters().datagrams_dropped == c.dropped);
    CHECK(sender.counters().too_big == c.too_big);
    CHECK(sender.counters().send_errors == 1 - c.too_big);
    const auto second = sender.send(batch, first.consumed);
    CHECK(second.state == State::kDone);
    CHECK(second.consumed == 10 - c.dropped);
    CHECK(read_some(there, arena, 5).size() == 5);
    CHECK(sender.counters().datagrams_sent + sender.counters().datagrams_dropped == 10);
  }
}

TEST_CASE("a send buffer that is really full loses nothing") {
  in_namespace("shaping",
               "ip link set lo up && tc qdisc add dev lo root tbf rate 200mbit burst 16kb limit 4mb", [] {
                 for (bool gso : {false, true}) {
                   UdpOptions tiny, large;
                   tiny.gso = gso;
                   tiny.buffer_bytes = 4'096;
                   large.buffer_bytes = 4'000'000;
                   auto [server, client] = make_pair("127.0.0.1", large, tiny);
                   check_round_trip(client, server, path_to(client.remote()), 2'000);
                   CHECK(client.counters().would_block > 0);
                   CHECK(server.kernel_drops() == 0);
                 }
               });
}

TEST_CASE("datagrams that the kernel drops at a full receive buffer can be asked for") {
  UdpOptions tiny;
  tiny.buffer_bytes = 4'096;
  auto [server, client] = make_pair("127.0.0.1", tiny, {});
  TransmitBatch batch;
  batch.begin_run(path_to(client.remote()));
  for (std::uint32_t i = 0; i < kBatchPackets; ++i) push(batch, pattern(i, 1'350));
  CHECK(server.kernel_drops() == 0);
  send_all(client, batch);
  CHECK(server.kernel_drops() > 0);
}

TEST_CASE("a wildcard server answers from the address that was asked") {
  UdpOptions info;
  info.receive_info = true;
  for (std::string wildcard : {"0.0.0.0", "::"}) {
    UdpSocket server = must(UdpSocket::bind(with_port(wildcard, 0), info));
    ReceiveArena arena;
    for (std::string asked : {"127.0.0.2", "127.0.0.3"}) {
      INFO(wildcard << " " << asked);
      UdpSocket client = must(UdpSocket::connect(with_port(asked, server.local().port), {}));
      send_one(client, path_to(client.remote()), pattern(1, 500));
      const auto arrivals = read_some(server, arena, 1);
      REQUIRE(arrivals.size() == 1);
      CHECK(to_string(arrivals[0].path.local) == to_string(client.remote()));
      CHECK(to_string(arrivals[0].path.remote) == to_string(client.local()));
      TransmitBatch batch;
      batch.begin_run(arrivals[0].path);
      for (std::uint32_t i = 0; i < 40; ++i) push(batch, pattern(i, 1'200));
      REQUIRE(send_all(server, batch) == 0);
      // connected: accepts only datagrams from the requested address
      const auto answers = read_some(client, arena, 40);
      REQUIRE(answers.size() == 40);
      for (std::uint32_t i = 0; i < 40; ++i) CHECK(answers[i].bytes == pattern(i, 1'200));
    }
    CHECK(server.counters().gso_messages == 2);  // source address and segment size in one control message
  }
}

TEST_CASE("a wildcard server answers from the address that was asked, IPv6") {
  // The kernel routes a new address some time after it was added. Packets sent to it earlier are lost.
  const std::string setup =
      "ip link set lo up && ip addr add fd00::1/128 dev lo nodad && ip addr add fd00::2/128 dev lo nodad && "
      "for a in ::1 fd00::1 fd00::2; do timeout 60 sh -c \"until ip -6 route get $a | grep -q ^local; do "
      "sleep 0.02; done\" "
      "|| exit 1; done";
  in_namespace("namespaces", setup, [] {
    UdpOptions info;
    info.receive_info = true;
    UdpSocket server = must(UdpSocket::bind(at("[::]:0"), info));
    ReceiveArena arena;
    for (std::string asked : {"fd00::1", "fd00::2", "::1"}) {
      INFO(asked);
      UdpSocket client = must(UdpSocket::connect(with_port(asked, server.local().port), {}));
      send_one(client, path_to(client.remote()), pattern(1, 500));
      const auto arrivals = read_some(server, arena, 1);
      REQUIRE(arrivals.size() == 1);
      CHECK(arrivals[0].path.local == client.remote());
      send_one(server, arrivals[0].path, pattern(2, 600));
      const auto answers = read_some(client, arena, 1);
      REQUIRE(answers.size() == 1);
      CHECK(answers[0].bytes == pattern(2, 600));
    }
  });
}

TEST_CASE("the wildcard takes both families on one socket and answers both in one batch") {
  UdpSocket server = must(UdpSocket::bind(at(":0"), {}));
  REQUIRE(server.dual_stack());
  ReceiveArena arena;
  UdpSocket four = must(UdpSocket::connect(with_port("127.0.0.1", server.local().port), {}));
  UdpSocket six = must(UdpSocket::connect(with_port("::1", server.local().port), {}));
  send_one(four, path_to(four.remote()), pattern(4, 400));
  send_one(six, path_to(six.remote()), pattern(6, 600));
  const auto arrivals = read_some(server, arena, 2);
  REQUIRE(arrivals.size() == 2);
  CHECK(arrivals[0].path.remote == four.local());
  CHECK(is_ipv4(arrivals[0].path.remote));
  CHECK(arrivals[1].path.remote == six.local());
  TransmitBatch batch;
  for (const Arrival& arrival : arrivals) {
    batch.begin_run(arrival.path);
    for (std::uint32_t i = 0; i < 5; ++i) push(batch, arrival.bytes);
  }
  REQUIRE(send_all(server, batch) == 0);
  CHECK(server.counters().send_calls == 1);
  CHECK(server.counters().gso_messages == 2);
  CHECK(read_some(four, arena, 5).size() == 5);
  CHECK(read_some(six, arena, 5).size() == 5);
}

TEST_CASE("an IPv4 wildcard takes IPv4 only, and leaves the port of IPv6 free") {
  UdpSocket four = must(UdpSocket::bind(at("0.0.0.0:0"), {}));
  CHECK_FALSE(four.dual_stack());
  UdpSocket six = must(UdpSocket::bind(with_port("::1", four.local().port), {}));
  CHECK(six.local().port == four.local().port);
}

TEST_CASE("a port in use is an error that names the address") {
  UdpSocket first = must(UdpSocket::bind(at("127.0.0.1:0"), {}));
  auto second = UdpSocket::bind(first.local(), {});
  REQUIRE_FALSE(second);
  CHECK(second.error() == "cannot bind UDP " + to_string(first.local()) + ": Address already in use");
  auto foreign = UdpSocket::bind(at("192.0.2.77:4000"), {});
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error() == "cannot bind UDP 192.0.2.77:4000: Cannot assign requested address");
}

TEST_CASE("a remote that can't be had is an error that names it") {
  auto made = UdpSocket::connect(at("255.255.255.255:4000"), {});
  REQUIRE_FALSE(made);
  CHECK(made.error() == "cannot connect UDP 255.255.255.255:4000: Permission denied");
}

TEST_CASE("loops share a port when they ask for it") {
  UdpOptions shared;
  shared.reuse_port = true;
  UdpSocket first = must(UdpSocket::bind(at("127.0.0.1:0"), shared));
  UdpSocket second = must(UdpSocket::bind(first.local(), shared));
  CHECK(second.local() == first.local());
}

TEST_CASE("a refused connection is counted when it is read, and the socket works again") {
  auto [server, client] = make_pair();
  const IpEndpoint place = server.local();
  ReceiveArena arena;
  { UdpSocket gone = std::move(server); }
  send_one(client, path_to(place), pattern(1, 100));
  REQUIRE(wait_for(client, POLLIN));  // the error wakes it up
  const auto nothing = client.receive(arena);
  CHECK(nothing.runs.empty());
  CHECK(nothing.dry);
  CHECK(client.counters().pending_errors == 1);
  UdpSocket back = must(UdpSocket::bind(place, {}));
  send_one(client, path_to(place), pattern(2, 100));
  const auto arrivals = read_some(back, arena, 1);
  REQUIRE(arrivals.size() == 1);
  CHECK(arrivals[0].bytes == pattern(2, 100));
  send_one(back, arrivals[0].path, pattern(3, 100));
  CHECK(read_some(client, arena, 1).size() == 1);
}

TEST_CASE("a refused connection that a send meets costs no packet and no GSO") {
  auto [server, client] = make_pair();
  const IpEndpoint place = server.local();
  ReceiveArena arena;
  { UdpSocket gone = std::move(server); }
  send_one(client, path_to(place), pattern(1, 100));
  REQUIRE(wait_for(client, POLLIN));
  UdpSocket back = must(UdpSocket::bind(place, {}));
  TransmitBatch batch;
  batch.begin_run(path_to(place));
  for (std::uint32_t i = 0; i < 40; ++i) push(batch, pattern(i, 1'000));
  const auto result = client.send(batch, 0);
  CHECK(result.state == State::kDone);
  CHECK(result.consumed == 40);
  CHECK(client.counters().pending_errors == 1);
  CHECK(client.counters().gso_fallbacks == 0);
  CHECK(client.counters().gso_messages == 1);
  CHECK(read_some(back, arena, 40).size() == 40);
}

TEST_CASE("truncated and empty datagrams are counted and not delivered") {
  UdpOptions plain;
  plain.gro = false;
  auto [server, client] = make_pair("127.0.0.1", plain, {});
  ReceiveArena arena;
  const Datagram huge = pattern(1, 3'000);
  REQUIRE(send(client.fd(), huge.data(), huge.size(), 0) == 3'000);
  REQUIRE(send(client.fd(), huge.data(), 0, 0) == 0);
  send_one(client, path_to(client.remote()), pattern(2, kMaxDatagram));
  const auto arrivals = read_some(server, arena, 1);
  REQUIRE(arrivals.size() == 1);
  CHECK(arrivals[0].bytes == pattern(2, kMaxDatagram));
  CHECK(server.counters().truncated == 1);
  CHECK(server.counters().datagrams_received == 2);
}

TEST_CASE("a batch of several sockets goes out through each of them; those gone drop theirs") {
  UdpSocket receiver = must(UdpSocket::bind(at("127.0.0.1:0"), {}));
  UdpOptions zero, two;
  two.index = 2;
  UdpSocket first = must(UdpSocket::bind(at("127.0.0.1:0"), zero));
  UdpSocket third = must(UdpSocket::bind(at("127.0.0.1:0"), two));
  ReceiveArena arena;
  TransmitBatch batch;
  std::uint32_t number = 0;
  for (std::uint32_t socket : {0u, 2u, 1u, 0u, 9u}) {
    batch.begin_run(path_to(receiver.local(), socket));
    for (int i = 0; i < 3; ++i) push(batch, pattern(number++, 200));
  }
  DatagramSocket* sockets[] = {&first, nullptr, &third};
  const auto result = send_batch(sockets, batch, 0);
  CHECK(result.state == State::kDone);
  CHECK(result.position == batch.size());
  CHECK(result.dropped == 6);
  const auto arrivals = read_some(receiver, arena, 9);
  REQUIRE(arrivals.size() == 9);
  CHECK(arrivals[0].path.remote == first.local());
  CHECK(arrivals[3].path.remote == third.local());
  CHECK(arrivals[3].bytes == pattern(3, 200));
  CHECK(arrivals[6].bytes == pattern(9, 200));
}

TEST_CASE("a batch that a full socket stops says which, and where to go on") {
  UdpSocket receiver = must(UdpSocket::bind(at("127.0.0.1:0"), {}));
  UdpSocket first = must(UdpSocket::bind(at("127.0.0.1:0"), {}));
  UdpOptions one = scripted();
  one.index = 1;
  UdpSocket second = must(UdpSocket::bind(at("127.0.0.1:0"), one));
  TransmitBatch batch;
  for (std::uint32_t socket : {0u, 1u}) {
    batch.begin_run(path_to(receiver.local(), socket));
    for (std::uint32_t i = 0; i < 3; ++i) push(batch, pattern(i, 200));
  }
  DatagramSocket* sockets[] = {&first, &second};
  script.steps = {{ENETUNREACH, 0}};
  CHECK(send_batch(sockets, batch, 0).dropped == 3);
  script.steps = {{EAGAIN, 0}};
  const auto result = send_batch(sockets, batch, 0);
  CHECK(result.state == State::kWouldBlock);
  CHECK(result.socket == 1);
  CHECK(result.position == 3);
  CHECK(send_batch(sockets, batch, result.position).state == State::kDone);
}

TEST_CASE("DSCP is set for both families and ECN bits stay") {
  auto option = [](const UdpSocket& socket, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    getsockopt(socket.fd(), level, name, &value, &size);
    return value;
  };
  UdpSocket both = must(UdpSocket::bind(at(":0"), {}));
  const int ect0 = 2;
  REQUIRE(setsockopt(both.fd(), IPPROTO_IP, IP_TOS, &ect0, sizeof ect0) == 0);
  REQUIRE(setsockopt(both.fd(), IPPROTO_IPV6, IPV6_TCLASS, &ect0, sizeof ect0) == 0);
  REQUIRE(both.set_dscp(46));
  CHECK(option(both, IPPROTO_IP, IP_TOS) == (46 << 2 | ect0));
  CHECK(option(both, IPPROTO_IPV6, IPV6_TCLASS) == (46 << 2 | ect0));
  UdpSocket four = must(UdpSocket::bind(at("127.0.0.1:0"), {}));
  REQUIRE(four.set_dscp(8));
  CHECK(option(four, IPPROTO_IP, IP_TOS) == 8 << 2);
}

TEST_CASE("the granted buffers are told in the unit that was asked in") {
  UdpOptions options;
  options.buffer_bytes = 65'536;
  UdpSocket socket = must(UdpSocket::bind(at("127.0.0.1:0"), options));
  CHECK(socket.receive_buffer_bytes() == 65'536);
  CHECK(socket.send_buffer_bytes() == 65'536);
}

TEST_CASE("a released arena holds no page, and works again") {
  auto [server, client] = make_pair();
  ReceiveArena arena;
  std::uint8_t* page = nullptr;
  auto receive_one = [&, &server = server, &client = client] {
    send_one(client, path_to(client.remote()), pattern(7, 1'000));
    REQUIRE(wait_for(server, POLLIN));
    const auto received = server.receive(arena);
    REQUIRE(received.runs.size() == 1);
    CHECK(received.dry);
    page = received.runs[0].data;
    CHECK(std::memcmp(page, pattern(7, 1'000).data(), 1'000) == 0);
  };
  auto resident = [&] {
    const auto size = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    unsigned char flag = 0;
    mincore(reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(page) & ~(size - 1)), 1, &flag);
    return (flag & 1) != 0;
  };
  receive_one();
  CHECK(resident());
  arena.release();
  CHECK_FALSE(resident());
  receive_one();
}

TEST_CASE("a dry connected socket costs one system call and brings nothing") {
  auto [server, client] = make_pair();
  ReceiveArena arena;
  const auto received = client.receive(arena);
  CHECK(received.runs.empty());
  CHECK(received.dry);
  CHECK(client.counters().receive_calls == 1);
  CHECK(client.counters().receive_errors == 0);
}

TEST_CASE("more messages than an arena has slots are not dry") {
  UdpOptions plain;
  plain.gso = false;
  auto [server, client] = make_pair("127.0.0.1", {}, plain);
  ReceiveArena arena;
  TransmitBatch batch;
  batch.begin_run(path_to(client.remote()));
  for (std::uint32_t i = 0; i < ReceiveArena::kGroSlots + 1; ++i) push(batch, pattern(i, 100 + i));
  REQUIRE(send_all(client, batch) == 0);
  CHECK_FALSE(server.receive(arena).dry);
  const auto rest = server.receive(arena);
  CHECK(rest.dry);
  CHECK(rest.runs.size() == 1);
}

TEST_CASE("one arena serves sockets of different kinds in turn") {
  UdpOptions info, plain;
  info.receive_info = true;
  plain.gro = false;
  UdpSocket wildcard = must(UdpSocket::bind(at(":0"), info));
  auto [server, client] = make_pair("127.0.0.1", plain, {});
  UdpSocket asker = must(UdpSocket::connect(with_port("::1", wildcard.local().port), {}));
  ReceiveArena arena;
  for (std::uint32_t i = 0; i < 20; ++i) {
    send_one(asker, path_to(asker.remote()), pattern(i, 300));
    const auto asked = read_some(wildcard, arena, 1);
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].path.local == asker.remote());
    send_one(client, path_to(client.remote()), pattern(i, 400));
    const auto told = read_some(server, arena, 1);
    REQUIRE(told.size() == 1);
    CHECK(told[0].path.remote == client.local());
    send_one(server, told[0].path, pattern(i, 500));
    REQUIRE(read_some(client, arena, 1).size() == 1);
  }
}

}  // namespace
}  // namespace kcptun::udp_socket_test
