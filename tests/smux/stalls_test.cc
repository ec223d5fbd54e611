// Unread streams beside others.
#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "core/smux/smux.h"
#include "tests/support/test_quota.h"

namespace kcptun::stalls_test {
namespace {

using Type = StreamEvent::Type;
using test::TestQuota;

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
const TimePoint kStart{seconds(100)};

SmuxSettings settings(std::uint32_t version = 2) {
  SmuxSettings s;
  s.version = version;
  return s;
}

/// A server and its peer, which sends as much as the server's windows allow.
class Pair {
 public:
  explicit Pair(const SmuxSettings& s, MemoryQuota* memory = nullptr)
      : settings_(s), smux_(Role::kServer, s, kStart, 0, memory) {}

  std::uint32_t open() {
    give(SmuxCommand::kSyn, next_, {});
    peers_[next_] = {};
    drain();
    return std::exchange(next_, next_ + 2);
  }
  /// The peer sends up to `most` bytes, limited by its window and the session. Returns the number sent.
  std::uint64_t send(std::uint32_t sid, std::uint64_t most) {
    std::uint64_t sent = 0;
    Peer& peer = peers_[sid];
    while (sent < most && smux_.can_receive()) {
      const std::uint64_t room = settings_.version == 1 ? most : room_of(sid);
      const std::uint64_t part = std::min({most - sent, room, std::uint64_t{8192}});
      if (part == 0) break;
      give(SmuxCommand::kPush, sid, std::vector<std::uint8_t>(part));
      peer.sent += part;
      sent += part;
      drain();
    }
    return sent;
  }
  std::uint64_t room_of(std::uint32_t sid) {
    const Peer& peer = peers_[sid];
    return peer.consumed + peer.window - std::min(peer.consumed + peer.window, peer.sent);
  }
  /// The application reads up to `most` bytes. Returns the number read.
  std::uint64_t read(std::uint32_t sid, std::uint64_t most) {
    Peer& peer = peers_[sid];
    const std::uint64_t bytes = std::min(most, peer.unread);
    peer.unread -= bytes;
    smux_.consume(sid, bytes);
    hear();
    return bytes;
  }
  /// Advances the time, one sweep at a time.
  void wait(Duration duration) {
    const TimePoint end = now_ + duration;
    while (smux_.next_sweep() && *smux_.next_sweep() <= end) {
      now_ = *smux_.next_sweep();
      smux_.sweep(now_);
      drain();
      hear();
    }
    now_ = end;
  }
  void give(SmuxCommand command, std::uint32_t sid, std::vector<std::uint8_t> payload) {
    std::vector<std::uint8_t> frame(kFrameHeader);
    write_frame_header(frame.data(), {smux_.version(), static_cast<std::uint8_t>(command),
                                      static_cast<std::uint16_t>(payload.size()), sid});
    frame.insert(frame.end(), payload.begin(), payload.end());
    smux_.handle_bytes(now_, frame);
  }
  /// Delivers pending control frames to the peer.
  void hear() {
    std::vector<std::uint8_t> out;
    while (smux_.has_control()) smux_.poll_control(out, out.size() + 1);
    for (std::size_t at = 0; at < out.size();) {
      const FrameHeader header = read_frame_header(&out[at]);
      if (header.command == static_cast<std::uint8_t>(SmuxCommand::kUpdate)) {
        peers_[header.sid].consumed = load_u32(&out[at + kFrameHeader]);
        peers_[header.sid].window = load_u32(&out[at + kFrameHeader + 4]);
      }
      at += kFrameHeader + header.length;
    }
  }
  std::vector<std::uint32_t> given_up;
  Smux& smux() { return smux_; }
  std::uint64_t window_of(std::uint32_t sid) { return peers_[sid].window; }

 private:
  struct Peer {
    std::uint64_t sent = 0, consumed = 0, window = Smux::kInitialWindow, unread = 0;
  };

  void drain() {
    while (const auto event = smux_.poll_event()) {
      if (event->type == Type::kData) peers_[event->sid].unread += event->data.size();
      if (event->type == Type::kEvicted) given_up.push_back(event->sid);
    }
  }

  const SmuxSettings settings_;
  TimePoint now_ = kStart;
  std::uint32_t next_ = 3;
  std::map<std::uint32_t, Peer> peers_;
  Smux smux_;
};

// A reader that lets a full window arrive and then stops, like a paused video.
std::uint32_t pause(Pair& pair) {
  const std::uint32_t sid = pair.open();
  pair.send(sid, 1000);
  pair.read(sid, 1000);
  return sid;
}

}  // namespace

TEST_CASE("with smux 2, streams that nobody reads stop neither those beside them nor new ones") {
  Pair pair(settings());
  const std::uint32_t beside = pause(pair);
  for (int i = 0; i < 50; ++i) {
    const std::uint32_t stalled = pause(pair);
    pair.send(stalled, 10 * kMiB);
    pair.wait(milliseconds(300));
    CHECK(pair.smux().can_receive());
    CHECK(pair.send(beside, 100 * kKiB) == 100 * kKiB);
    CHECK(pair.read(beside, 100 * kKiB) == 100 * kKiB);
  }
  CHECK(pair.window_of(beside) == settings().stream_buffer);
  CHECK(pair.given_up.empty());
}

TEST_CASE(
    "beyond the session's buffer, what nobody reads gets no more window, and all of it again once it is "
    "read") {
  Pair pair(settings());
  const std::uint32_t beside = pause(pair);
  std::vector<std::uint32_t> stalled;
  for (int i = 0; i < 3; ++i) stalled.push_back(pause(pair));
  for (const std::uint32_t sid : stalled) CHECK(pair.send(sid, 1500 * kKiB) == 1500 * kKiB);
  CHECK(pair.smux().stalls().streams == 0);
  pair.wait(seconds(1));
  CHECK(pair.smux().stalls().streams == 3);
  CHECK(pair.smux().stalls().bytes == 3 * 1500 * kKiB);
  CHECK_FALSE(pair.smux().stalls().stalled_since);
  for (const std::uint32_t sid : stalled) CHECK(pair.send(sid, kMiB) == 0);
  CHECK(pair.window_of(beside) == settings().stream_buffer);
  // One stream is read again: its window is restored, and the session holds less than its buffer.
  CHECK(pair.read(stalled[0], 1500 * kKiB) == 1500 * kKiB);
  CHECK(pair.window_of(stalled[0]) == settings().stream_buffer);
  pair.send(stalled[0], 1000);
  pair.read(stalled[0], 1000);
  pair.wait(seconds(1));
  CHECK(pair.smux().stalls().streams == 0);
  CHECK_FALSE(pair.smux().next_sweep());
}

TEST_CASE("below the session's buffer nothing is looked at, and no window is taken back") {
  Pair pair(settings());
  const std::uint32_t stalled = pause(pair);
  CHECK(pair.send(stalled, 10 * kMiB) == settings().stream_buffer);
  CHECK_FALSE(pair.smux().next_sweep());
  CHECK(pair.window_of(stalled) == settings().stream_buffer);
}

TEST_CASE("streams that are read slowly keep their windows while others stall") {
  SmuxSettings s = settings();
  s.receive_buffer = 2 * kMiB;
  Pair pair(s);
  const std::uint32_t slow = pause(pair);
  pair.send(slow, 2 * kMiB);
  pair.send(pause(pair), 2 * kMiB);
  for (int i = 0; i < 40; ++i) {
    pair.wait(milliseconds(200));
    CHECK(pair.read(slow, 64 * kKiB) == 64 * kKiB);
    pair.send(slow, 2 * kMiB);
  }
  CHECK(pair.window_of(slow) == s.stream_buffer);
}

TEST_CASE(
    "where the quota is short all windows get smaller, and what streams hold stays within the session's "
    "share") {
  TestQuota quota(64 * kMiB);
  SmuxSettings s = settings();
  s.receive_buffer = 64 * kMiB;
  s.stream_buffer = 16 * kMiB;
  Pair pair(s, &quota);
  for (int i = 0; i < 200; ++i) {
    pair.send(pause(pair), 16 * kMiB);
    pair.wait(milliseconds(500));
    REQUIRE(pair.smux().can_receive());
  }
  CHECK(pair.smux().is_short_of_memory());
  CHECK(quota.charged() < 4 * quota.limit() / 5);
  CHECK(pair.given_up.empty());
  const std::uint32_t late = pair.open();
  CHECK(pair.send(late, 64 * kKiB) == 64 * kKiB);
}

TEST_CASE("new streams begin with a smaller window where the quota is short") {
  TestQuota quota(64 * kMiB);
  Pair pair(settings(), &quota);
  const std::uint32_t before = pair.open();
  pair.hear();
  CHECK(pair.window_of(before) == Smux::kInitialWindow);
  quota.charge(64 * kMiB - 256 * kKiB);
  const std::uint32_t after = pair.open();
  pair.hear();
  CHECK(pair.window_of(after) == ReceiveBudget::kMinWindow);
  Smux client(Role::kClient, settings(), kStart, 0, &quota);
  client.open_stream();
  std::vector<std::uint8_t> out;
  client.poll_control(out, 1000);
  CHECK(out.size() == 3 * kFrameHeader + kUpdatePayload);  // SYN, UPD and the mark
}

TEST_CASE(
    "when the quota is used up, the largest of the streams not read for 10 s is given up, and others go on") {
  TestQuota quota(4 * kMiB);
  SmuxSettings s = settings();
  s.receive_buffer = 100 * kKiB;
  Pair pair(s, &quota);
  const std::uint32_t beside = pause(pair);
  const std::uint32_t large = pause(pair);
  pair.send(large, 400 * kKiB);
  pair.wait(seconds(1));
  // Each stream got its window before memory was short.
  std::vector<std::uint32_t> stalled;
  while (pair.smux().can_receive()) {
    stalled.push_back(pair.open());
    REQUIRE(stalled.size() < 100);
    pair.send(stalled.back(), Smux::kInitialWindow);
  }
  pair.wait(seconds(8));
  CHECK(pair.given_up.empty());
  CHECK_FALSE(pair.smux().can_receive());
  REQUIRE(pair.smux().stalls().stalled_since);
  CHECK(pair.smux().stalls().max_sid == large);
  pair.wait(seconds(2));
  CHECK(pair.given_up == std::vector<std::uint32_t>{large});
  CHECK(pair.smux().counters().evicted_streams == 1);
  CHECK(pair.smux().can_receive());
  CHECK(pair.send(beside, 10 * kKiB) == 10 * kKiB);
  // Packets in flight belong to no stream.
  pair.give(SmuxCommand::kPush, large, std::vector<std::uint8_t>(10));
  CHECK(pair.smux().counters().discarded_bytes == 10);
}

TEST_CASE("a stream that is read now and then is never given up") {
  TestQuota quota(2 * kMiB);
  Pair pair(settings(), &quota);
  std::vector<std::uint32_t> slow;
  while (pair.smux().can_receive()) {
    slow.push_back(pair.open());
    REQUIRE(slow.size() < 100);
    pair.send(slow.back(), Smux::kInitialWindow);
  }
  for (int i = 0; i < 5; ++i) {
    pair.wait(seconds(9));
    for (const std::uint32_t sid : slow) pair.read(sid, 1);
  }
  CHECK(pair.given_up.empty());
}

TEST_CASE("a session that holds little goes on whatever others hold") {
  TestQuota quota(kMiB);
  quota.charge(2 * kMiB);
  Pair pair(settings(), &quota);
  const std::uint32_t sid = pair.open();
  for (int i = 0; i < 100; ++i) {
    REQUIRE(pair.send(sid, 60 * kKiB) == 60 * kKiB);
    REQUIRE(pair.read(sid, 60 * kKiB) == 60 * kKiB);
  }
}

TEST_CASE("a peer that sends more than the largest window it was told loses that stream") {
  Pair pair(settings());
  const std::uint32_t sid = pair.open();
  CHECK(pair.send(sid, kMiB) == Smux::kInitialWindow);
  CHECK(pair.given_up.empty());
  pair.give(SmuxCommand::kPush, sid, std::vector<std::uint8_t>(1));
  pair.wait(seconds(0));
  pair.send(pair.open(), 1);  // drains the session
  CHECK(pair.given_up == std::vector<std::uint32_t>{sid});
  CHECK(pair.smux().counters().overrun_streams == 1);
  CHECK(pair.smux().buffered() == 1);
}

TEST_CASE("a window that was taken back may still be used by what is under way") {
  SmuxSettings s = settings();
  s.receive_buffer = 100 * kKiB;
  Pair pair(s);
  const std::uint32_t sid = pause(pair);
  pair.send(sid, 100 * kKiB);
  CHECK(pair.window_of(sid) == s.stream_buffer);
  pair.wait(seconds(1));
  CHECK(pair.window_of(sid) == 100 * kKiB);
  for (std::uint64_t left = s.stream_buffer - 100 * kKiB; left > 0;
       left -= std::min<std::uint64_t>(left, 32768))
    pair.give(SmuxCommand::kPush, sid, std::vector<std::uint8_t>(std::min<std::uint64_t>(left, 32768)));
  pair.send(pair.open(), 1);
  CHECK(pair.given_up.empty());
  CHECK(pair.smux().buffered() == s.stream_buffer + 1);
}

TEST_CASE(
    "with smux 1 the session's buffer is a hard limit, and says for how long and for which stream it "
    "stands") {
  SmuxSettings s = settings(1);
  s.receive_buffer = kMiB;
  Pair pair(s);
  const std::uint32_t beside = pair.open();
  const std::uint32_t stalled = pair.open();
  pair.send(stalled, 10 * kMiB);
  CHECK(pair.smux().buffered() >= kMiB);
  CHECK(pair.smux().buffered() < kMiB + 8192);
  CHECK(pair.send(beside, 1) == 0);
  pair.wait(seconds(20));
  REQUIRE(pair.smux().stalls().stalled_since);
  CHECK(*pair.smux().stalls().stalled_since <= kStart + seconds(1));
  CHECK(pair.smux().stalls().max_sid == stalled);
  CHECK(pair.given_up.empty());
  pair.read(stalled, 10 * kMiB);
  CHECK(pair.send(beside, 1) == 1);
  CHECK_FALSE(pair.smux().stalls().stalled_since);
}

}  // namespace kcptun::stalls_test
