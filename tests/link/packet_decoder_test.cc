#include "core/link/packet_decoder.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>

#include "core/crypt/session_header.h"
#include "core/fec/fec_encoder.h"
#include "core/fec/fec_header.h"
#include "tests/link/kcp_pair.h"

namespace kcptun::test::packet_decoder_test {
namespace {

LinkSettings settings_with(FecSettings fec) {
  LinkSettings settings;
  settings.fec = fec;
  return settings;
}

struct Fixture {
  explicit Fixture(FecSettings fec, std::optional<AntiReplay> own = std::nullopt)
      : context(settings_with(fec)),
        anti_replay(std::move(own)),
        decoder({context, pair.server, anti_replay ? &*anti_replay : nullptr, nullptr}) {}

  /// Packets of the client that carry `count` segments, a packet each.
  std::vector<Buffer> packets(std::size_t count) {
    std::vector<Buffer> out;
    for (std::size_t i = 0; i < count; ++i) {
      KcpPair::write(pair.client, Buffer(pair.client.segment_size(), static_cast<std::uint8_t>(i + 1)));
      Buffer& packet = out.emplace_back(kMaxDatagram);
      packet.resize(pair.client.poll_packet(pair.now, packet.data()));
      REQUIRE_FALSE(packet.empty());
    }
    return out;
  }
  void handle(Buffer& body) {
    const Packet packet{body.data(), static_cast<std::uint32_t>(body.size())};
    decoder.handle_packets(pair.now, decoder.take_fresh(pair.now, {&packet, 1}).bodies);
  }

  KcpPair pair;
  LinkContext context;
  std::optional<AntiReplay> anti_replay;
  PacketDecoder decoder;
};

Buffer with_fec_header(const Buffer& packet) {
  Buffer body(kFecHeader + packet.size());
  std::ranges::copy(packet, body.begin() + kFecHeader);
  return body;
}

}  // namespace

TEST_CASE("packets with and without an FEC header reach KCP, short and out-of-band ones do not") {
  Fixture f({0, 0});
  std::vector<Buffer> packets = f.packets(2);
  f.handle(packets[0]);
  CHECK(f.pair.server.counters().in_segments == 1);

  Buffer body = with_fec_header(packets[1]);
  store_u16(body.data() + 4, static_cast<std::uint16_t>(FecType::kData));
  store_u16(body.data() + kFecShardOffset, static_cast<std::uint16_t>(packets[1].size() + 2));
  f.handle(body);
  CHECK(f.pair.server.counters().in_segments == 2);

  store_u16(body.data() + 4, static_cast<std::uint16_t>(FecType::kOutOfBand));
  f.handle(body);
  Buffer short_body(packets[0].begin(), packets[0].begin() + 11);
  f.handle(short_body);
  CHECK(f.decoder.out_of_band() == 1);
  CHECK(f.pair.server.counters().in_segments == 2);
  CHECK(f.pair.server.counters().errors == 0);
  CHECK(f.decoder.packets_received() == 4);
}

TEST_CASE("a lost packet is recovered, and its bytes live until the views are released") {
  constexpr FecSettings kCounts{2, 1};
  Fixture f(kCounts);
  const ErasureCodeCache::Use code = f.context.codes.use(kCounts);
  FecEncoder encoder(*code);
  for (std::uint8_t group = 0; group < 3; ++group) {
    std::vector<Buffer> bodies;
    for (const Buffer& packet : f.packets(2)) bodies.push_back(with_fec_header(packet));
    encoder.add(f.pair.now, bodies[0]);
    REQUIRE(encoder.add(f.pair.now, bodies[1]));
    Buffer parity(encoder.parity_size());
    std::uint8_t* const out = parity.data();
    encoder.finish_group({&out, 1});
    f.handle(bodies[1]);
    f.handle(parity);
    // What came and what was recovered stay readable while the batch's memory is there.
    const Buffer read = KcpPair::read(f.pair.server);
    f.decoder.end_batch();
    f.pair.server.end_batch(f.pair.now);
    f.decoder.release_views();
    CHECK(read.size() == 2 * f.pair.client.segment_size());
    CHECK(read.front() == 1);
    CHECK(read.back() == 2);
  }
  CHECK(f.decoder.fec().counters().recovered == 3);
}

TEST_CASE("with a session header a packet is taken once, and another session's never") {
  AntiReplay client(Role::kClient, 5, TimePoint{seconds(1)}, UnixTime(seconds(1000)));
  AntiReplay foreign(Role::kClient, 6, TimePoint{seconds(1)}, UnixTime(seconds(1000)));
  Fixture f({0, 0}, AntiReplay(Role::kServer, 5, TimePoint{seconds(1)}, UnixTime(seconds(1000))));
  const auto stamped = [&](AntiReplay& by, const Buffer& packet) {
    Buffer out(kSessionHeader);
    by.stamp(f.pair.now, out.data());
    out.insert(out.end(), packet.begin(), packet.end());
    return out;
  };
  const std::vector<Buffer> packets = f.packets(1);
  Buffer good = stamped(client, packets[0]);
  Buffer bad = stamped(foreign, packets[0]);
  f.handle(bad);
  CHECK(f.pair.server.counters().in_segments == 0);
  f.handle(good);
  f.handle(good);
  CHECK(f.pair.server.counters().in_segments == 1);
  CHECK(f.anti_replay->counters().replayed == 1);
  CHECK(f.anti_replay->counters().foreign == 1);
  CHECK(f.decoder.packets_received() == 1);
}

}  // namespace kcptun::test::packet_decoder_test
