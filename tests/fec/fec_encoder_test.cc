#include "core/fec/fec_encoder.h"

#include "tests/fec/fec_fixture.h"
#include "tests/support/vectors.h"

namespace kcptun::test::fec_encoder_test {

namespace {

struct Output {
  std::vector<Buffer> data;
  std::vector<Buffer> parity;
};

// Sends `packets` (KCP packets) as one group, ending the batch after each packet whose bit (its number modulo
// 32) is set in `cuts`.
Output send_group(FecEncoder& encoder, std::uint32_t parity, const std::vector<Buffer>& packets,
                  std::uint32_t cuts, Duration step = milliseconds(1)) {
  static TimePoint now{seconds(5)};
  Output out;
  std::vector<Buffer> slots(parity, Buffer(kMaxDatagram, 0xee));
  for (std::size_t i = 0; i < packets.size(); ++i) {
    Buffer& body = out.data.emplace_back(kFecHeader);
    body.insert(body.end(), packets[i].begin(), packets[i].end());
    now += step;
    if (encoder.add(now, body)) {
      const std::size_t size = encoder.parity_size();
      std::vector<std::uint8_t*> outs;
      for (Buffer& slot : slots) outs.push_back(slot.data());
      slots.resize(encoder.finish_group(outs));
      for (Buffer& slot : slots) slot.resize(size);
    }
    if (cuts >> i % 32 & 1) encoder.end_batch();
  }
  out.parity = std::move(slots);
  return out;
}

}  // namespace

TEST_CASE("the recorded groups come out, wherever batches end inside them") {
  const auto vectors = load_vectors("fec.json");
  for (const auto& group : vectors.at("groups")) {
    const ReedSolomonCode code({group.at("data_shards"), group.at("parity_shards")});
    std::vector<Buffer> packets;
    for (const auto& hex : group.at("data")) {
      const Buffer shard = from_hex(hex);
      packets.emplace_back(shard.begin() + 2, shard.end());
    }
    Random random(5);
    FecEncoder encoder(code);
    for (std::uint32_t round = 0; round < 40; ++round) {
      const std::uint32_t cuts = round == 0 ? 0 : round == 1 ? 0xffffffffu : random.next32();
      const Output out = send_group(encoder, code.parity_shards(), packets, cuts);
      if (round == 0 && code.data_shards() == 1)
        continue;  // nothing came before the group's last packet: skipped
      REQUIRE(out.parity.size() == code.parity_shards());
      for (std::uint32_t i = 0; i < code.shards(); ++i) {
        const bool data = i < code.data_shards();
        const Buffer& body = data ? out.data[i] : out.parity[i - code.data_shards()];
        REQUIRE(load_u32(body.data()) == round * code.shards() + i);
        REQUIRE(fec_type(body) == (data ? FecType::kData : FecType::kParity));
        const auto& hex = data ? group.at("data").at(i) : group.at("parity").at(i - code.data_shards());
        REQUIRE(Buffer(body.begin() + kFecShardOffset, body.end()) == from_hex(hex));
      }
    }
  }
}

TEST_CASE("sequence numbers pass over left-out parity and wrap at a group's end") {
  const ReedSolomonCode code({3, 2});
  const std::uint32_t wrap = 0xffffffffu / 5 * 5;
  REQUIRE(code.wrap() == wrap);
  FecEncoder encoder(code, wrap - 10);
  const std::vector<Buffer> packets(3, Buffer(30, 1));
  Output out = send_group(encoder, 0, packets, 0);
  REQUIRE(load_u32(out.data[0].data()) == wrap - 10);
  out = send_group(encoder, 1, packets, 0);
  REQUIRE(load_u32(out.data[0].data()) == wrap - 5);
  REQUIRE(load_u32(out.parity.at(0).data()) == wrap - 2);
  out = send_group(encoder, 2, packets, 0);
  REQUIRE(load_u32(out.data[0].data()) == 0);
  REQUIRE(load_u32(out.parity.at(1).data()) == 4);
}

TEST_CASE("a group whose last packet came 500 ms after the one before gets no parity") {
  const ReedSolomonCode code({3, 2});
  FecEncoder encoder(code);
  const std::vector<Buffer> packets(3, Buffer(30, 1));
  REQUIRE(send_group(encoder, 2, packets, 0).parity.size() == 2);
  REQUIRE(send_group(encoder, 2, packets, 0, milliseconds(500)).parity.empty());
  REQUIRE(send_group(encoder, 2, packets, 0, microseconds(499999)).parity.size() == 2);
  REQUIRE(encoder.next_seqid() == 15);
}

TEST_CASE("an idle session's unfinished group costs less than 1 KB, and steady state allocates nothing") {
  const ReedSolomonCode code({10, 3});
  FecEncoder encoder(code);
  const std::vector<Buffer> large(10, Buffer(1300, 1)), some(7, Buffer(26, 1)), rest(3, Buffer(26, 1));
  for (int i = 0; i < 5; ++i) send_group(encoder, 3, large, 0xffffffffu);
  const std::size_t steady = encoder.held_bytes();
  for (int i = 0; i < 5; ++i) {
    send_group(encoder, 3, large, 0xffffffffu);
    REQUIRE(encoder.held_bytes() == steady);
  }
  send_group(encoder, 3, some, 0xffffffffu, seconds(10));
  REQUIRE(encoder.held_bytes() < 1000);
  send_group(encoder, 3, rest, 0xffffffffu, seconds(10));
  send_group(encoder, 3, some, 0xffffffffu, seconds(10));
  REQUIRE(encoder.held_bytes() < 1000);
}

}  // namespace kcptun::test::fec_encoder_test
