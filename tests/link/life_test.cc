// What keeps a link alive, and what does not.
#include <catch2/catch.hpp>
#include <vector>

#include "core/link/link.h"

namespace kcptun::test {
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
  const KcpCommand command = GENERATE(KcpCommand::kAck, KcpCommand::kPush, KcpCommand::kWindowTell);
  Fixture f;
  const std::vector<std::uint8_t> bytes(10, 0);
  for (std::uint32_t i = 1; i <= 10; ++i) {
    f.wait(seconds(10));
    Segment segment;
    segment.conv = kConv;
    segment.command = command;
    segment.window = 128;
    if (command == KcpCommand::kPush) segment.sn = i, segment.data = bytes;  // sn 0 never comes
    f.give(segment);
    CHECK(f.link.closed_reason().empty());
  }
  CHECK(f.link.kcp().counters().stream_bytes_in == 0);
  f.wait(seconds(29));
  CHECK(f.link.closed_reason().empty());
  f.wait(seconds(2));
  CHECK(f.link.closed_reason() == "nothing arrived from the peer for too long");
}

TEST_CASE("segments of another conversation, and what is no segment, keep no link alive") {
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

}  // namespace kcptun::test
