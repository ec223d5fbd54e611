// FEC packets of any sender against the decoder, which learns the sender's shard counts: its memory stays
// bounded, and what it hands out can be read.
#include "core/base/check.h"
#include "core/base/packet.h"
#include "core/fec/fec_decoder.h"
#include "core/fec/fec_header.h"
#include "core/fec/reed_solomon.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

// Table, kept packets and recovered ones of all live groups, with the slack of vectors that grow.
constexpr std::size_t kMaxHeld =
    FecDecoder::kLiveGroups * kMaxShards * (2 * kMaxDatagram + kMaxDatagram + 32) + 65536;

std::vector<std::uint8_t> next_packet(Input& input, std::uint32_t& seqid) {
  const std::uint8_t how = input.u8();
  seqid += how & 1 ? input.near() : 1;
  std::vector<std::uint8_t> body(kFecHeader + 24 + input.below(how & 2 ? 1400 : 40), input.u8());
  store_u32(body.data(), seqid);
  store_u16(body.data() + 4, static_cast<std::uint16_t>(how & 4 ? FecType::kParity : FecType::kData));
  store_u16(body.data() + kFecShardOffset,
            how & 8 ? input.u16() : static_cast<std::uint16_t>(body.size() - kFecShardOffset));
  if (how & 16) body.resize(kFecHeader + input.below(40));
  return body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  FecSettings own{input.u8(), input.u8()};
  if (own.data_shards + own.parity_shards > kMaxShards) own = {};
  ErasureCodeCache codes{make_reed_solomon};
  FecDecoder decoder(own, codes);
  std::uint32_t seqid = input.u8() & 1 ? input.u32() : 0;
  std::vector<std::vector<std::uint8_t>> batch;
  unsigned sum = 0;
  while (!input.empty()) {
    batch.push_back(next_packet(input, seqid));
    decoder.handle(batch.back());
    for (const Bytes packet : decoder.recovered()) {
      KCPTUN_CHECK(packet.size() >= 24 && packet.size() <= kMaxDatagram);
      for (const std::uint8_t byte : packet) sum += byte;
    }
    KCPTUN_CHECK(decoder.open_groups() <= FecDecoder::kLiveGroups);
    KCPTUN_CHECK(decoder.held_bytes() <= kMaxHeld);
    KCPTUN_CHECK(codes.size() <= 1);
    if (batch.size() < 32 && input.u8() % 4 != 0) continue;
    decoder.end_batch();
    batch.clear();
  }
  return sum == 0xffffffff;
}
