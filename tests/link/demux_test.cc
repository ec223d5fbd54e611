#include "core/link/demux.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

namespace kcptun::demux_test {
namespace {

const TimePoint kStart{seconds(100)};

Path path_from(std::uint16_t port, std::uint32_t socket = 0) {
  Path path;
  path.remote.port = port;
  path.socket = socket;
  return path;
}

/// An opened packet: FEC header if any, then one segment.
std::vector<std::uint8_t> body(FecType type, std::uint32_t conv, std::uint32_t sn,
                               KcpCommand command = KcpCommand::kPush, std::uint32_t seqid = 0) {
  const std::size_t header = type == FecType::kNone ? 0 : kFecHeader;
  std::vector<std::uint8_t> out(header + kSegmentHeader);
  if (header > 0) {
    store_u32(out.data(), seqid);
    store_u16(out.data() + 4, static_cast<std::uint16_t>(type));
    store_u16(out.data() + kFecShardOffset, static_cast<std::uint16_t>(2 + kSegmentHeader));
  }
  Segment segment;
  segment.conv = conv;
  segment.command = command;
  segment.sn = sn;
  segment.window = 128;
  write_segment_header(out.data() + header, segment, 0);
  return out;
}

/// Another machine's.
Path path_of_host(std::uint8_t host) {
  Path path = path_from(1);
  path.remote.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, host};
  return path;
}

/// A first packet that opens a stream.
std::vector<std::uint8_t> syn_body(std::uint32_t conv) {
  std::vector<std::uint8_t> out = body(FecType::kNone, conv, 0);
  store_u32(out.data() + 20, kFrameHeader);
  out.resize(kSegmentHeader + kFrameHeader);
  write_frame_header(out.data() + kSegmentHeader, {2, static_cast<std::uint8_t>(SmuxCommand::kSyn), 0, 3});
  return out;
}

LinkSettings plain_settings() {
  LinkSettings settings;
  settings.compress = false;
  return settings;
}

struct Fixture {
  explicit Fixture(std::size_t most = 64) : demux(context, most) {}

  void give(const Path& path, std::vector<std::vector<std::uint8_t>> bodies) {
    std::vector<Packet> packets;
    for (auto& bytes : bodies) packets.push_back({bytes.data(), static_cast<std::uint32_t>(bytes.size())});
    demux.handle_run(kStart, path, packets);
  }
  std::vector<std::uint32_t> touched() {
    std::vector<std::uint32_t> convs;
    for (SessionEntry* c : demux.take_touched()) convs.push_back(c->link.conv());
    return convs;
  }

  LinkContext context{plain_settings()};
  Demux demux;
};

using Convs = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("a packet with a conv in it opens a session, whatever its command") {
  const FecType type = GENERATE(FecType::kNone, FecType::kData);
  const KcpCommand command =
      GENERATE(KcpCommand::kPush, KcpCommand::kAck, KcpCommand::kWindowProbe, KcpCommand::kWindowUpdate);
  Fixture f;
  f.give(path_from(1), {body(type, 7, 5, command)});
  CHECK(f.touched() == Convs{7});
  CHECK(f.touched().empty());
  CHECK(f.demux.size() == 1);
}

TEST_CASE("parity, out-of-band packets and garbage from an unknown address open nothing") {
  Fixture f;
  f.give(path_from(1), {body(FecType::kParity, 7, 0),
                        body(FecType::kOutOfBand, 7, 0),
                        {},
                        {1, 2, 3},
                        std::vector<std::uint8_t>(100, 0xaa)});
  CHECK(f.demux.size() == 0);
  CHECK(f.demux.counters().unmatched == 4);  // the one rejected by the suite counts there
}

TEST_CASE("an opened packet cut at any length does no harm") {
  const FecType type = GENERATE(FecType::kNone, FecType::kData, FecType::kParity, FecType::kOutOfBand);
  const auto whole = body(type, 7, 0);
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::vector<std::uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    Fixture unknown;
    unknown.give(path_from(1), {cut});
    CHECK(unknown.demux.size() == (size == whole.size() && type < FecType::kParity ? 1 : 0));
    Fixture known;
    known.give(path_from(1), {body(FecType::kNone, 7, 0)});
    known.give(path_from(1), {cut});
    CHECK(known.demux.size() == 1);
  }
}

TEST_CASE("addresses and sockets are kept apart") {
  Fixture f;
  f.give(path_from(1), {body(FecType::kNone, 7, 0)});
  f.give(path_from(2), {body(FecType::kNone, 8, 0)});
  f.give(path_from(1, 1), {body(FecType::kNone, 9, 0)});
  CHECK(f.touched() == Convs{7, 8, 9});
  f.give(path_from(2), {body(FecType::kNone, 8, 1), body(FecType::kNone, 8, 2)});
  f.give(path_from(2), {body(FecType::kNone, 8, 3)});
  CHECK(f.touched() == Convs{8});
}

TEST_CASE("a foreign session at sn 0 replaces the one of its address, whatever the command") {
  const KcpCommand command = GENERATE(KcpCommand::kPush, KcpCommand::kAck, KcpCommand::kWindowProbe);
  Fixture f;
  f.give(path_from(1), {body(FecType::kNone, 7, 0)});
  f.give(path_from(1), {body(FecType::kNone, 8, 0, command)});
  CHECK(f.touched() == Convs{8});  // without the session that is gone
  const auto replaced = f.demux.take_replaced();
  REQUIRE(replaced.size() == 1);
  CHECK(replaced[0]->link.conv() == 7);
  CHECK(f.demux.take_replaced().empty());
  CHECK(f.demux.size() == 1);
  CHECK(f.demux.counters().replaced == 1);
}

TEST_CASE("a foreign session that does not begin at sn 0 is dropped") {
  Fixture f;
  f.give(path_from(1), {body(FecType::kNone, 7, 0), body(FecType::kNone, 8, 5), body(FecType::kNone, 7, 1)});
  CHECK(f.touched() == Convs{7});
  CHECK(f.demux.counters().foreign == 1);
  CHECK(f.demux.counters().replaced == 0);
}

TEST_CASE("one run may carry the end of one session and the beginning of the next") {
  Fixture f;
  f.give(path_from(1), {body(FecType::kNone, 7, 0), body(FecType::kNone, 8, 0), body(FecType::kNone, 8, 1),
                        body(FecType::kNone, 7, 1)});
  CHECK(f.touched() == Convs{8});
  CHECK(f.demux.counters().foreign == 1);
}

TEST_CASE("when sessions with streams fill the table nothing is opened until one of them ends") {
  Fixture f(4);
  for (std::uint8_t host = 1; host <= 5; ++host) f.give(path_of_host(host), {syn_body(host)});
  CHECK(f.demux.size() == 4);
  CHECK(f.demux.counters().refused == 1);
  CHECK(f.demux.take_evicted().empty());
  SessionEntry* const first = f.demux.take_touched().front();
  CHECK(f.demux.end(kStart, *first)->link.conv() == 1);
  f.give(path_of_host(5), {syn_body(5)});
  CHECK(f.demux.size() == 4);
  CHECK(f.demux.find(5) != nullptr);
}

TEST_CASE("a flood from many addresses evicts its own sessions, never one with a stream") {
  Fixture f(8);
  f.give(path_of_host(1), {syn_body(1)});
  std::size_t evicted = 0;
  for (std::uint32_t conv = 2; conv < 5000; ++conv) {
    f.give(path_of_host(static_cast<std::uint8_t>(2 + conv % 250)), {body(FecType::kNone, conv, 0)});
    evicted += f.demux.take_evicted().size();
    REQUIRE(f.demux.size() <= 8);
  }
  CHECK(f.demux.find(1) != nullptr);
  CHECK(evicted == 4998 - 7);
  CHECK(f.demux.limiter().counters().evicted == evicted);
  CHECK(f.demux.counters().refused == 0);
}

TEST_CASE("a session may end before take_touched() returns it") {
  Fixture f;
  f.give(path_from(1), {body(FecType::kNone, 1, 0)});
  SessionEntry* const session = f.demux.take_touched().front();
  f.give(path_from(1), {body(FecType::kNone, 1, 1)});
  f.demux.end(kStart, *session);
  CHECK(f.demux.take_touched().empty());
}

}  // namespace kcptun::demux_test
