// The encoder and the decoder with a code that is not Reed-Solomon: they use nothing but the interface.
#include "core/fec/erasure_code.h"

#include <catch2/catch.hpp>

#include <cstring>

#include "core/fec/fec_decoder.h"
#include "core/fec/fec_encoder.h"
#include "tests/fec/fec_fixture.h"

namespace kcptun::test::erasure_code_test {

namespace {

// Each parity shard is the XOR of all data shards; one lost data shard is the XOR of what is left and one
// parity shard.
class XorCode final : public ErasureCode {
 public:
  explicit XorCode(FecSettings counts) : ErasureCode(counts) {}

  void encode(const DataShards& data, const Targets& parity) const override {
    for (std::uint8_t* const target : parity.shards) {
      if (parity.store == Store::kSet) std::memset(target, 0, parity.size);
      for (const Bytes shard : data.shards) add(shard, target);
    }
  }
  void decode(std::span<const Survivor> survivors, std::span<const std::uint32_t> lost,
              const Targets& outs) const override {
    REQUIRE(survivors.size() == data_shards());
    REQUIRE(lost.size() == 1);
    std::memset(outs.shards[0], 0, outs.size);
    for (const Survivor& survivor : survivors) add(survivor.bytes, outs.shards[0]);
  }

 private:
  static void add(Bytes shard, std::uint8_t* target) {
    for (std::size_t i = 0; i < shard.size(); ++i) target[i] ^= shard[i];
  }
};

int codes_made = 0;

std::unique_ptr<const ErasureCode> make_xor(FecSettings counts) {
  ++codes_made;
  return std::make_unique<XorCode>(counts);
}

}  // namespace

TEST_CASE("another code is one file: encoder and decoder recover with an XOR code") {
  constexpr FecSettings kCounts{4, 1};
  Random random(17);
  const XorCode code(kCounts);
  FecEncoder encoder(code);
  ErasureCodeCache codes(make_xor);
  FecDecoder decoder(kCounts, codes);
  TimePoint now{seconds(1)};
  std::size_t recovered = 0;
  for (std::uint32_t group = 0; group < 50; ++group) {
    const std::uint32_t lost = random.below(4);
    Buffer lost_packet;
    for (std::uint32_t i = 0; i < 4; ++i) {
      const Buffer packet = random_packet(random, 300);
      Buffer body(kFecHeader);
      body.insert(body.end(), packet.begin(), packet.end());
      now += milliseconds(1);
      const bool full = encoder.add(now, body);
      if (i == lost) {
        lost_packet = packet;
      } else {
        decoder.handle(body);
      }
      if (full) {
        Buffer parity(kMaxDatagram);
        const std::size_t size = encoder.parity_size();
        std::uint8_t* const out = parity.data();
        REQUIRE(encoder.finish_group({&out, 1}) == 1);
        parity.resize(size);
        decoder.handle(parity);
        for (const Bytes packet_back : decoder.recovered()) {
          REQUIRE(text(packet_back) == text(lost_packet));
          ++recovered;
        }
      }
      encoder.end_batch();
      decoder.end_batch();
    }
  }
  REQUIRE(recovered >= 48);  // a group at the beginning may wait for certainty about the counts
  REQUIRE(decoder.counters().errors == 0);
}

TEST_CASE("a code is made once for all users of its counts and dropped with the last") {
  codes_made = 0;
  ErasureCodeCache codes(make_xor);
  ErasureCodeCache::Use first = codes.use({4, 1});
  ErasureCodeCache::Use second = codes.use({4, 1});
  REQUIRE(codes_made == 1);
  REQUIRE(&*first == &*second);
  const ErasureCodeCache::Use other = codes.use({5, 1});
  REQUIRE(codes_made == 2);
  REQUIRE(codes.size() == 2);
  first.reset();
  REQUIRE(codes.size() == 2);
  second.reset();
  REQUIRE(codes.size() == 1);
  first = codes.use({4, 1});
  REQUIRE(codes_made == 3);
}

}  // namespace kcptun::test::erasure_code_test
