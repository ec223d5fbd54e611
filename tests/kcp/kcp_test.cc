#include "core/kcp/kcp.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "core/base/random.h"

namespace kcptun::kcp_test {
namespace {

constexpr std::uint32_t kConv = 0x11223344;
constexpr std::size_t kPacketSize = 200;
const TimePoint kStart{seconds(100)};

// The windows alone count: what the path takes is tested elsewhere (path_model_test.cc).
KcpSettings settings(std::uint32_t send_window = 128, std::uint32_t receive_window = 128) {
  KcpSettings s;
  s.tuning = kModePresets[3].tuning;  // fast3
  s.tuning.congestion = Congestion::kOff;
  s.send_window = send_window;
  s.receive_window = receive_window;
  return s;
}

/// A packet of one segment.
std::vector<std::uint8_t> packet(KcpCommand command, std::uint32_t sn, std::uint32_t una,
                                 std::uint16_t window = 128, std::uint32_t ts = 0,
                                 const std::string& data = {}, std::uint32_t conv = kConv) {
  std::vector<std::uint8_t> out(kSegmentHeader + data.size());
  Segment segment;
  segment.conv = conv;
  segment.command = command;
  segment.sn = sn;
  segment.una = una;
  segment.window = window;
  segment.ts = ts;
  write_segment_header(out.data(), segment, data.size());
  std::copy(data.begin(), data.end(), out.begin() + kSegmentHeader);
  return out;
}

struct Peer {
  explicit Peer(const KcpSettings& s = settings()) : kcp(kConv, s, kPacketSize, pool) {}

  void write(std::size_t size) {
    std::vector<MutableBytes> pieces;
    kcp.prepare(size, pieces);
    for (const MutableBytes piece : pieces)
      for (std::uint8_t& byte : piece) byte = static_cast<std::uint8_t>(written++);
    kcp.commit(size);
  }
  void give(const std::vector<std::uint8_t>& bytes, Kcp::Origin origin = Kcp::Origin::kArrived) {
    kcp.handle_packet(now, bytes, origin);
    kcp.end_batch(now);
  }
  /// All packets due now.
  std::vector<std::vector<std::uint8_t>> packets() {
    std::vector<std::vector<std::uint8_t>> out;
    std::uint8_t buffer[kPacketSize];
    while (const std::size_t size = kcp.poll_packet(now, buffer)) out.emplace_back(buffer, buffer + size);
    return out;
  }
  struct Told {
    KcpCommand command;
    std::uint32_t sn;
    std::uint32_t ts;
    std::uint32_t una;
    std::uint32_t window;
  };
  /// All segments due now.
  std::vector<Told> segments() {
    std::vector<Told> out;
    for (const auto& bytes : packets()) {
      Bytes rest = bytes;
      while (const auto s = take_segment(rest)) out.push_back({s->command, s->sn, s->ts, s->una, s->window});
      CHECK(rest.empty());
    }
    return out;
  }
  std::size_t read() {
    std::size_t size = 0;
    while (auto piece = kcp.read()) size += piece->data.size();
    return size;
  }

  TimePoint now = kStart;
  std::uint32_t written = 0;
  BufferPool pool{kPacketSize};
  Kcp kcp;
};

std::size_t count(const std::vector<Peer::Told>& segments, KcpCommand command) {
  return static_cast<std::size_t>(
      std::count_if(segments.begin(), segments.end(), [=](const auto& s) { return s.command == command; }));
}

}  // namespace

TEST_CASE("before the first segment arrives, 32 segments may be under way") {
  Peer a(settings(1000));
  CHECK(a.kcp.send_room() == 32 * a.kcp.segment_size());
  a.write(100 * a.kcp.segment_size());
  CHECK(count(a.segments(), KcpCommand::kPush) == 32);
  a.give(packet(KcpCommand::kWindowUpdate, 0, 0, 50));
  CHECK(count(a.segments(), KcpCommand::kPush) == 18);
  a.give(packet(KcpCommand::kWindowUpdate, 0, 10, 50));
  CHECK(count(a.segments(), KcpCommand::kPush) == 10);
}

TEST_CASE(
    "after sizes went down, up and down again, each segment leaves in a packet no larger than it needs") {
  Peer a;
  a.kcp.set_packet_size(150);
  a.write(1000);
  a.packets();
  std::size_t largest = 150;
  for (const std::size_t size : {std::size_t{100}, kPacketSize, std::size_t{90}}) {
    a.kcp.set_packet_size(size);
    a.write(1000);
    largest = std::max(largest, size);
  }
  CHECK(a.kcp.has_oversize());
  std::size_t written = 0, seen = 0;
  for (int i = 0; i < 50;
       ++i, a.now += milliseconds(100)) {  // nothing is acknowledged: copies are among them
    a.kcp.handle_timeout(a.now);
    for (const auto& bytes : a.packets()) {
      CHECK(bytes.size() <= largest);
      Bytes rest = bytes;
      const auto first = take_segment(rest);
      CHECK((bytes.size() <= 90 || kSegmentHeader + first->data.size() > 90));
      seen = std::max<std::size_t>(seen, first->sn + 1);
    }
  }
  while (!a.kcp.send_window().empty() && written++ < 100) {
    a.give(packet(KcpCommand::kWindowUpdate, 0, a.kcp.send_window().next()));
    for (const auto& bytes : a.packets()) CHECK(bytes.size() <= largest);
  }
  CHECK(a.kcp.send_window().empty());
  CHECK_FALSE(a.kcp.has_oversize());
  a.write(1000);
  for (const auto& bytes : a.packets()) CHECK(bytes.size() <= 90);
}

TEST_CASE("a size probe is answered by its own echo, or by a window that nothing else asked for") {
  Peer a;
  a.write(10);
  a.packets();
  a.give(packet(KcpCommand::kAck, 0, 1, 128, wire_ms(a.now)));
  std::uint8_t out[kPacketSize];
  const auto probe = [&a, &out](std::uint32_t ts) { a.kcp.write_mtu_probe(ts, kPacketSize, out); };

  probe(1);
  a.give(packet(KcpCommand::kAck, 0, 1, 128, 2));
  CHECK_FALSE(a.kcp.take_probe_answer());
  a.give(packet(KcpCommand::kAck, 0, 1, 128, 1));
  CHECK(a.kcp.take_probe_answer());
  CHECK_FALSE(a.kcp.take_probe_answer());

  probe(3);
  a.give(packet(KcpCommand::kWindowUpdate, 0, 1));
  CHECK(a.kcp.take_probe_answer());
  a.give(packet(KcpCommand::kWindowUpdate, 0, 1));  // the second answer to the same
  CHECK_FALSE(a.kcp.take_probe_answer());

  a.kcp.ping();
  a.packets();
  probe(4);
  a.give(packet(KcpCommand::kWindowUpdate, 0, 1));  // perhaps of the WASK before it
  CHECK_FALSE(a.kcp.take_probe_answer());
  a.now += seconds(2);
  a.give(packet(KcpCommand::kWindowUpdate, 0, 1));
  CHECK(a.kcp.take_probe_answer());

  a.write(10);
  a.packets();
  a.give(packet(KcpCommand::kAck, 1, 2, 3));
  probe(5);
  a.give(packet(KcpCommand::kAck, 1, 2, 60));
  a.give(
      packet(KcpCommand::kWindowUpdate, 0, 2, 60));  // it was nearly closed, and is told without being asked
  CHECK_FALSE(a.kcp.take_probe_answer());
}

TEST_CASE("a size probe has its size, and all that a peer knows in it") {
  Peer a, b;
  a.write(10);
  for (const auto& bytes : a.packets()) b.give(bytes);
  b.read();
  for (const auto& bytes : b.packets()) a.give(bytes);
  std::vector<std::uint8_t> probe(kPacketSize);
  for (std::size_t size = Kcp::kProbeHeaders; size <= kPacketSize; ++size) {
    a.kcp.write_mtu_probe(static_cast<std::uint32_t>(size), size, probe.data());
    b.give({probe.begin(), probe.begin() + static_cast<std::ptrdiff_t>(size)});
    CHECK(b.read() == 0);
    for (const auto& bytes : b.packets()) a.give(bytes);
    CHECK(a.kcp.take_probe_answer());
  }
  CHECK(b.kcp.counters().errors == 0);
}

TEST_CASE("an own send window below the peer's window is kept") {
  Peer a(settings(5));
  a.give(packet(KcpCommand::kWindowUpdate, 0, 0, 50));
  a.write(100 * a.kcp.segment_size());
  CHECK(count(a.segments(), KcpCommand::kPush) == 5);
}

TEST_CASE("a push is acknowledged with its own time stamp, and again when it comes again") {
  Peer a;
  a.give(packet(KcpCommand::kPush, 0, 0, 128, 777, "hello"));
  auto told = a.segments();
  REQUIRE(told.size() == 1);
  CHECK(told[0].command == KcpCommand::kAck);
  CHECK(told[0].sn == 0);
  CHECK(told[0].ts == 777);
  CHECK(told[0].una == 1);
  a.give(packet(KcpCommand::kPush, 0, 0, 128, 888, "hello"));
  told = a.segments();
  REQUIRE(told.size() == 1);
  CHECK(told[0].ts == 888);
  CHECK(a.kcp.counters().repeated == 1);
  CHECK(a.read() == 5);
}

TEST_CASE("of the acknowledgements that una covers only the last one leaves, and all those beyond a gap") {
  Peer a;
  for (const std::uint32_t sn : {0u, 1u, 2u, 4u, 5u})
    a.give(packet(KcpCommand::kPush, sn, 0, 128, 100 + sn, "x"));
  auto told = a.segments();
  REQUIRE(told.size() == 2);
  CHECK(told[0].sn == 4);
  CHECK(told[1].sn == 5);
  a.give(packet(KcpCommand::kPush, 6, 0, 128, 106, "x"));
  a.give(packet(KcpCommand::kPush, 3, 0, 128, 103, "x"));  // closes the gap
  told = a.segments();
  REQUIRE(told.size() == 1);
  CHECK(told[0].sn == 3);
  CHECK(told[0].una == 7);
}

TEST_CASE("a push beyond the window is dropped without an acknowledgement") {
  Peer a(settings(128, 4));
  a.give(packet(KcpCommand::kPush, 4, 0, 128, 1, "x"));
  CHECK(a.segments().empty());
  CHECK(a.kcp.counters().out_of_window == 1);
  a.give(packet(KcpCommand::kPush, 3, 0, 128, 1, "x"));
  CHECK(a.segments().size() == 1);
}

TEST_CASE("a window of 0 is asked about after 500 ms, then half as long again each time up to 120 s") {
  Peer a;
  a.give(packet(KcpCommand::kWindowUpdate, 0, 0, 0));
  CHECK(a.segments().empty());
  Duration wait = milliseconds(500);
  for (int i = 0; i < 30; ++i) {
    CHECK(a.kcp.next_timeout() == a.now + wait);
    a.now += wait;
    a.kcp.handle_timeout(a.now - Duration(1));
    CHECK(a.segments().empty());
    a.kcp.handle_timeout(a.now);
    const auto told = a.segments();
    REQUIRE(told.size() == 1);
    CHECK(told[0].command == KcpCommand::kWindowProbe);
    CHECK(told[0].sn == 0);
    CHECK(told[0].ts == 0);
    wait = std::min<Duration>(wait + wait / 2, seconds(120));
  }
  CHECK(wait == seconds(120));
  a.give(packet(KcpCommand::kWindowUpdate, 0, 0, 10));
  CHECK_FALSE(a.kcp.next_timeout());
  a.write(1);
  a.segments();
  a.give(packet(KcpCommand::kWindowUpdate, 0, 1, 0));
  a.segments();
  CHECK(a.kcp.next_timeout() == a.now + milliseconds(500));
}

TEST_CASE("any number of window questions before a flush get one answer") {
  Peer a;
  for (int i = 0; i < 5; ++i) a.give(packet(KcpCommand::kWindowProbe, 0, 0));
  const auto told = a.segments();
  REQUIRE(told.size() == 1);
  CHECK(told[0].command == KcpCommand::kWindowUpdate);
  CHECK(told[0].window == 128);
  CHECK(told[0].sn == 0);
  CHECK(told[0].ts == 0);
  CHECK(a.segments().empty());
}

TEST_CASE("a window that opens again from 0 is told without being asked, whatever its size") {
  const std::uint32_t window = GENERATE(1u, 2u, 3u, 7u, 8u, 9u, 64u, 1024u);
  Peer a(settings(128, window));
  for (std::uint32_t sn = 0; sn < window; ++sn) a.give(packet(KcpCommand::kPush, sn, 0, 128, 1, "x"));
  CHECK(a.segments().back().window == 0);
  CHECK(a.segments().empty());
  a.read();
  const auto told = a.segments();
  REQUIRE(told.size() == 1);
  CHECK(told[0].command == KcpCommand::kWindowUpdate);
  CHECK(told[0].window == window);
  CHECK(a.segments().empty());
}

TEST_CASE("a segment of a foreign conversation or of unknown command ends its packet") {
  Peer a;
  auto good = packet(KcpCommand::kPush, 0, 0, 128, 1, "x");
  auto bad = packet(KcpCommand::kPush, 1, 0, 128, 1, "x", kConv + 1);
  if (GENERATE(false, true)) {
    bad = packet(KcpCommand::kPush, 1, 0, 128, 1, "x");
    bad[4] = GENERATE(std::uint8_t{0}, std::uint8_t{80}, std::uint8_t{85}, std::uint8_t{255});
  }
  auto whole = good;
  whole.insert(whole.end(), bad.begin(), bad.end());
  const auto behind = packet(KcpCommand::kPush, 1, 0, 128, 1, "x");
  whole.insert(whole.end(), behind.begin(), behind.end());
  a.give(whole);
  CHECK(a.kcp.receive_window().next() == 1);
  CHECK(a.kcp.counters().errors == 1);
}

TEST_CASE("a packet cut at any length gives its whole segments and nothing else") {
  std::vector<std::uint8_t> whole;
  std::vector<std::size_t> ends{0};
  for (std::uint32_t sn = 0; sn < 4; ++sn) {
    const auto one = packet(KcpCommand::kPush, sn, 0, 128, 1, std::string(sn * 5, 'x'));
    whole.insert(whole.end(), one.begin(), one.end());
    ends.push_back(whole.size());
  }
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    Peer a;
    const std::vector<std::uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    a.give(cut);
    const auto complete = std::upper_bound(ends.begin(), ends.end(), size) - ends.begin() - 1;
    CHECK(a.kcp.receive_window().next() == static_cast<std::uint32_t>(complete));
    CHECK(a.kcp.counters().errors == (ends[static_cast<std::size_t>(complete)] == size ? 0 : 1));
  }
}

TEST_CASE("a length beyond the packet drops it, however large") {
  const std::uint32_t length = GENERATE(6u, 1500u, 0x7fffffffu, 0x80000000u, 0xffffffe8u, 0xffffffffu);
  Peer a;
  auto bytes = packet(KcpCommand::kPush, 0, 0, 128, 1, "hello");
  store_u32(bytes.data() + 20, length);
  a.give(bytes);
  CHECK(a.kcp.counters().errors == 1);
  CHECK(a.kcp.receive_window().next() == 0);
}

TEST_CASE("a una of what was never sent acknowledges nothing, but what comes with it is answered") {
  Peer a;
  a.write(10);
  a.segments();
  a.give(packet(KcpCommand::kWindowProbe, 0, 2, 7, 1, ""));
  CHECK(a.kcp.counters().errors == 1);
  CHECK(a.kcp.send_window().size() == 1);
  CHECK(a.kcp.peer_window() == 32);  // its window is of another life, too
  const auto answer = a.segments();
  REQUIRE(answer.size() == 1);
  CHECK(answer[0].command == KcpCommand::kWindowUpdate);
  a.give(packet(KcpCommand::kPush, 0, 1, 128, 1, "x"));
  CHECK(a.kcp.send_window().empty());
  a.give(packet(KcpCommand::kPush, 1, 0, 128, 1, "x"));  // reordered: its una is old, its data is good
  CHECK(a.kcp.receive_window().next() == 2);
  CHECK(a.kcp.counters().errors == 1);
}

TEST_CASE("a recovered packet brings data and acknowledges, but tells no window and no time") {
  Peer a;
  a.give(packet(KcpCommand::kWindowUpdate, 0, 0, 40));
  a.write(2 * a.kcp.segment_size());
  a.segments();
  a.now += milliseconds(80);
  a.give(packet(KcpCommand::kAck, 1, 0, 7, wire_ms(kStart)), Kcp::Origin::kRecovered);
  CHECK(a.kcp.send_window().in_flight() == 1);
  CHECK_FALSE(a.kcp.rtt().smoothed());
  CHECK(a.kcp.peer_window() == 40);
  a.give(packet(KcpCommand::kPush, 0, 0, 0, 1, "x"), Kcp::Origin::kRecovered);
  CHECK(a.kcp.peer_window() == 40);
  CHECK(a.read() == 1);
  a.give(packet(KcpCommand::kAck, 0, 0, 41, wire_ms(kStart)));
  CHECK(a.kcp.rtt().smoothed() == milliseconds(80));
  CHECK(a.kcp.peer_window() == 41);
}

TEST_CASE("packets are filled up to their size and never beyond") {
  Peer a;
  for (std::uint32_t sn = 1; sn < 20; ++sn) a.give(packet(KcpCommand::kPush, sn, 0, 128, 1, "x"));
  a.write(3 * a.kcp.segment_size() + 1);
  std::size_t total = 0;
  for (const auto& bytes : a.packets()) {
    CHECK(bytes.size() <= kPacketSize);
    total += bytes.size();
  }
  CHECK(total == 19 * kSegmentHeader + 4 * kSegmentHeader + 3 * a.kcp.segment_size() + 1);
}

TEST_CASE("without nc the congestion window begins with one segment, which may be queued, and grows") {
  KcpSettings s = settings();
  s.tuning.no_congestion_control = false;
  s.tuning.congestion = GENERATE(Congestion{"auto"}, Congestion{"kcp"});
  Peer a(s);
  CHECK(a.kcp.send_quota() == 1);
  CHECK(a.kcp.send_room() == a.kcp.segment_size());
  a.write(15 * a.kcp.segment_size());
  std::uint32_t una = 0;
  std::size_t before = 0;
  for (int round = 0; round < 4; ++round) {
    const std::size_t sent = count(a.segments(), KcpCommand::kPush);
    CHECK(sent > before);
    before = sent;
    una += static_cast<std::uint32_t>(sent);
    a.give(packet(KcpCommand::kAck, una - 1, una, 128, wire_ms(a.now)));
  }
  CHECK(a.kcp.send_window().empty());
}

TEST_CASE("two conversations exchange bytes through a network that loses a third of all packets") {
  KcpSettings s = settings(16, 8);
  s.tuning.congestion = GENERATE(Congestion::kAuto, Congestion::kOff);
  Peer a(s), b(s);
  a.write(10000);
  b.write(7000);
  Random random(1);  // not each third: what always loses the same packet of a pattern never ends
  std::size_t got_a = 0, got_b = 0;
  for (int i = 0; i < 3000 && (got_a < 7000 || got_b < 10000); ++i) {
    for (auto& bytes : a.packets())
      if (random.below(3) > 0) b.give(bytes);
    got_b += b.read();
    for (auto& bytes : b.packets())
      if (random.below(3) > 0) a.give(bytes);
    got_a += a.read();
    a.now = b.now = a.now + milliseconds(5);
    a.kcp.handle_timeout(a.now);
    b.kcp.handle_timeout(b.now);
  }
  CHECK(got_a == 7000);
  CHECK(got_b == 10000);
}

TEST_CASE("a peer that has forgotten everything is asked, and its answer proves that it has restarted") {
  Peer a;
  a.write(100);
  a.segments();
  a.give(packet(KcpCommand::kWindowUpdate, 0, 1));
  REQUIRE(a.kcp.send_window().una() == 1);

  a.now += milliseconds(1999);  // still may be reordered
  a.give(packet(KcpCommand::kWindowUpdate, 0, 0));
  CHECK(a.segments().empty());

  a.now += milliseconds(1);
  a.give(packet(KcpCommand::kPush, 0, 0, 128, 0, "of another life"));
  CHECK_FALSE(a.kcp.readable());  // its bytes are not ours
  const auto question = a.segments();
  REQUIRE(question.size() == 1);
  CHECK(question[0].command == KcpCommand::kPush);
  CHECK(question[0].sn == 0xffffffff);
  CHECK(question[0].ts == wire_ms(a.now));
  CHECK_FALSE(a.kcp.peer_restarted());

  Peer reborn;  // knows of nothing, and answers
  reborn.give(packet(question[0].command, question[0].sn, question[0].una, 128, question[0].ts));
  CHECK(reborn.read() == 0);
  a.now += milliseconds(50);
  for (const auto& answer : reborn.packets()) a.give(answer);
  CHECK(a.kcp.peer_restarted());
}

TEST_CASE("a live peer answers the question of whether it has restarted, and nothing changes") {
  Peer a, b;
  const auto recorded = [&] {  // from before it had heard anything
    b.write(300);
    return b.packets();
  }();
  for (const auto& bytes : recorded) a.give(bytes);
  a.write(100);
  for (const auto& bytes : a.packets()) b.give(bytes);
  for (const auto& bytes : b.packets()) a.give(bytes);
  REQUIRE(a.kcp.send_window().una() == 1);
  a.read();
  b.read();

  for (int round = 0; round < 100; ++round) {
    a.now = b.now = a.now + seconds(3);
    for (const auto& bytes : recorded) a.give(bytes);
    const auto questions = a.packets();
    REQUIRE(questions.size() == 1);
    for (const auto& bytes : questions) b.give(bytes);
    CHECK(b.read() == 0);
    const auto answers = b.packets();
    REQUIRE(answers.size() == 1);
    a.give(answers[0]);
    CHECK(a.packets().empty());
  }
  CHECK(a.read() == 0);
  CHECK_FALSE(a.kcp.peer_restarted());
}

TEST_CASE("old packets end no conversation, however many are played again while the peer is not heard") {
  Peer a;
  a.write(100);
  a.segments();
  const std::uint32_t before = wire_ms(a.now);
  a.give(packet(KcpCommand::kWindowUpdate, 0, 1));
  std::size_t questions = 0;
  for (int i = 0; i < 20000; ++i) {
    a.now += milliseconds(1);
    a.give(packet(KcpCommand::kPush, 0, 0, 128, before, "recorded"));
    a.give(packet(KcpCommand::kWindowUpdate, 0, 0));
    a.give(packet(KcpCommand::kAck, 5, 0, 128, before));               // of a copy of then
    a.give(packet(KcpCommand::kAck, 5, 0, 128, before + 0x60000000));  // of a probe for a size
    questions += count(a.segments(), KcpCommand::kPush);
  }
  CHECK_FALSE(a.kcp.peer_restarted());
  CHECK(questions > 1);
  CHECK(questions <= 20000 / 30);  // one each time-out at most
}

TEST_CASE("old packets after an outage are no restart when newer ones come between") {
  Peer a;
  a.write(100);
  a.segments();
  a.give(packet(KcpCommand::kWindowUpdate, 0, 1));
  for (int i = 0; i < 5; ++i) {
    a.now += seconds(5);
    a.give(packet(KcpCommand::kWindowUpdate, 0, 0));
    a.give(packet(KcpCommand::kWindowUpdate, 0, 1));
  }
  CHECK_FALSE(a.kcp.peer_restarted());
}

}  // namespace kcptun::kcp_test
