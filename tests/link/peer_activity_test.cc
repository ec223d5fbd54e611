// What keeps a link alive, and what does not.
#include <catch2/catch.hpp>
#include <vector>

#include "core/link/link.h"

namespace kcptun::test::peer_activity_test {
namespace {

constexpr std::uint32_t kConv = 7;

struct Fixture {
  Fixture() : context(settings()), link(Role::kClient, kConv, context, now) {}

  static LinkSettings settings() {
    LinkSettings s;
    s.compress = false;
    s.fec = {0, 0};
    return s;
  }
  void give(const Segment& segment) {
    std::vector<std::uint8_t> bytes(kSegmentHeader + segment.data.size());
    write_segment_header(bytes.data(), segment, segment.data.size());
    std::copy(segment.data.begin(), segment.data.end(), bytes.begin() + kSegmentHeader);
    const Packet packet{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
    link.handle_packets(now, {&packet, 1});
    while (link.poll_event(now)) {
    }
    link.release_views();
  }
  void wait(Duration duration) {
    for (const TimePoint until = now + duration; now < until; now += milliseconds(50)) {
      link.handle_timeout(now);
      batch.clear();
      link.poll_transmit(now, Path{}, batch);
    }
  }

  TimePoint now{seconds(1)};
  LinkContext context;
  Link link;
  TransmitBatch batch;
};

}  // namespace

TEST_CASE("acknowledgements, and segments that came too early, keep a link alive") {
  const KcpCommand command = GENERATE(KcpCommand::kAck, KcpCommand::kPush);
  Fixture f;
  const std::vector<std::uint8_t> bytes(10, 0);
  for (std::uint32_t i = 1; i <= 10; ++i) {
    f.wait(seconds(10));
    Segment segment;
    segment.conv = kConv;
    segment.command = command;
    segment.window = 128;
    if (command == KcpCommand::kPush) segment.sn = i, segment.data = bytes;  // sn 0 never comes
    if (command == KcpCommand::kAck)
      segment.sn = f.link.kcp().send_window().next() - 1;  // of the newest keepalive
    f.give(segment);
    CHECK(f.link.closed_reason().empty());
  }
  CHECK(f.link.kcp().counters().stream_bytes_in == 0);
  f.wait(seconds(29));
  CHECK(f.link.closed_reason().empty());
  f.wait(seconds(2));
  CHECK(f.link.closed_reason() == "nothing arrived from the peer for too long");
}

TEST_CASE("replayed packets of a dead peer do not keep a link alive, and a client suspects it") {
  Fixture f;
  f.wait(seconds(11));
  REQUIRE(f.link.kcp().send_window().next() > 0);
  Segment acknowledgement;
  acknowledgement.conv = kConv;
  acknowledgement.command = KcpCommand::kAck;
  acknowledgement.window = 128;
  acknowledgement.una = 1;
  acknowledgement.ts = wire_ms(f.now);
  f.give(acknowledgement);
  REQUIRE_FALSE(f.link.suspected_dead(f.now));
  const TimePoint died = f.now;
  Segment window_update = acknowledgement;
  window_update.command = KcpCommand::kWindowUpdate;
  bool suspected_dead = false;
  while (f.link.closed_reason().empty() && f.now < died + seconds(60)) {
    f.wait(milliseconds(300));
    f.give(acknowledgement);
    f.give(window_update);
    suspected_dead |= f.link.suspected_dead(f.now);
  }
  CHECK(suspected_dead);
  CHECK(f.link.closed_reason() == "nothing arrived from the peer for too long");
  CHECK(f.now - died < seconds(31));
}

TEST_CASE("segments of another session, and garbage, do not keep a link alive") {
  const std::uint32_t conv = GENERATE(kConv, kConv + 1);
  Fixture f;
  for (int i = 0; i < 4; ++i) {
    Segment segment;
    segment.conv = conv;
    segment.command = conv == kConv ? static_cast<KcpCommand>(80) : KcpCommand::kAck;
    f.give(segment);
    f.wait(seconds(8));
  }
  CHECK_FALSE(f.link.closed_reason().empty());
}

TEST_CASE(
    "bytes count as passed on when una is beyond the segment they begin in, and not when it was acknowledged "
    "early") {
  Fixture f;
  const auto write = [&f](std::uint32_t sid, std::size_t bytes) {
    const auto room = f.link.prepare_write(sid, bytes);
    REQUIRE_FALSE(room.empty());
    const std::uint32_t position = f.link.write_position();
    f.link.commit_write(sid, bytes);
    return position;
  };
  const auto give_una = [&f](KcpCommand command, std::uint32_t sn, std::uint32_t una) {
    Segment segment;
    segment.conv = kConv;
    segment.command = command;
    segment.sn = sn;
    segment.una = una;
    segment.window = 128;
    f.give(segment);
  };
  const std::uint32_t one = f.link.open_stream().value();
  const std::uint32_t first = write(one, 10);
  const std::uint32_t beside =
      write(f.link.open_stream().value(), 10);  // in the same segment, which has not left
  CHECK(beside == first);
  f.wait(milliseconds(10));
  const std::uint32_t next = write(f.link.open_stream().value(), 10);
  CHECK(next == first + 1);
  f.wait(milliseconds(10));
  CHECK_FALSE(f.link.passed_on(first));
  give_una(KcpCommand::kAck, next, first);  // it has the second one and waits for the first
  CHECK_FALSE(f.link.passed_on(next));
  give_una(KcpCommand::kWindowUpdate, 0, first + 1);
  CHECK(f.link.passed_on(first));
  CHECK_FALSE(f.link.passed_on(next));
  give_una(KcpCommand::kWindowUpdate, 0, next + 1);
  CHECK(f.link.passed_on(next));
}

TEST_CASE("a link is out of time when its silence ends it, and its peer is gone, not wrong") {
  Fixture f;
  f.wait(seconds(29));
  CHECK_FALSE(f.link.out_of_time(f.now));
  f.now += seconds(2);  // asleep
  CHECK(f.link.out_of_time(f.now));
  CHECK(f.link.closed_reason().empty());
  CHECK_FALSE(f.link.peer_gone());
  f.wait(milliseconds(100));
  CHECK(f.link.peer_gone());
  Fixture wrong;
  Segment segment;
  segment.conv = kConv;
  segment.command = KcpCommand::kPush;
  const std::vector<std::uint8_t> bytes(8, 9);  // no smux frame
  segment.data = bytes;
  wrong.give(segment);
  CHECK_FALSE(wrong.link.closed_reason().empty());
  CHECK_FALSE(wrong.link.peer_gone());
}

}  // namespace kcptun::test::peer_activity_test
