// A group of shards through the code: any losses up to the parity are computed back. And a sender's packets
// through losses, repetition and reordering: a receiver, whatever its own counts, recovers only what was
// sent.
#include <set>

#include "core/base/check.h"
#include "core/base/packet.h"
#include "core/fec/fec_decoder.h"
#include "core/fec/fec_encoder.h"
#include "core/fec/fec_header.h"
#include "core/fec/reed_solomon.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

using Buffer = std::vector<std::uint8_t>;

FecSettings counts(Input& input) { return {1 + input.u8() % 20u, 1 + input.u8() % 10u}; }

void erase_and_decode(Input& input) {
  const FecSettings settings = counts(input);
  const ReedSolomonCode code(settings);
  std::vector<Buffer> shards;
  std::size_t width = 1;
  for (std::uint32_t i = 0; i < settings.data_shards; ++i) {
    shards.push_back(input.bytes(1 + input.u8() % 60));
    width = std::max(width, shards.back().size());
  }
  const std::size_t stride = (width + 63) / 64 * 64;
  std::vector<Bytes> data(shards.begin(), shards.end());
  std::vector<Buffer> parity(settings.parity_shards, Buffer(stride));
  std::vector<std::uint8_t*> outs;
  for (Buffer& row : parity) outs.push_back(row.data());
  const std::size_t cut = input.below(settings.data_shards + 1);  // in two batches
  code.encode({0, std::span(data).first(cut)}, {outs, width});
  code.encode({cut, std::span(data).subspan(cut)}, {outs, width, ErasureCode::Store::kAdd});

  std::set<std::uint32_t> gone;
  while (gone.size() < settings.parity_shards) {
    std::uint32_t i = input.u8() % code.shards();
    while (!gone.insert(i).second) i = (i + 1) % code.shards();
  }
  std::vector<ErasureCode::Survivor> survivors;
  std::vector<std::uint32_t> lost;
  for (std::uint32_t i = 0; i < code.shards(); ++i) {
    const bool is_data = i < settings.data_shards;
    if (gone.contains(i)) {
      if (is_data) lost.push_back(i);
    } else if (survivors.size() < settings.data_shards) {
      survivors.push_back({i, is_data ? data[i] : Bytes(parity[i - settings.data_shards]).first(width)});
    }
  }
  std::vector<Buffer> back(lost.size(), Buffer(stride));
  std::vector<std::uint8_t*> back_outs;
  for (Buffer& row : back) back_outs.push_back(row.data());
  code.decode(survivors, lost, {back_outs, width});
  for (std::size_t i = 0; i < lost.size(); ++i) {
    Buffer expected = shards[lost[i]];
    expected.resize(width);
    KCPTUN_CHECK(std::equal(expected.begin(), expected.end(), back[i].begin()));
  }
}

class Sender {
 public:
  explicit Sender(FecSettings settings) : code_(settings), encoder_(code_) {}

  std::vector<Buffer> next(Input& input) {
    now_ += milliseconds(input.u8() == 0xff ? 600 : 1);
    Buffer body(kMaxDatagram);
    const std::size_t size = 24 + input.u8() % 80;
    for (std::size_t i = 0; i < size; ++i)
      body[kFecHeader + i] = static_cast<std::uint8_t>(count_ * 7 + i * (1 + count_ % 5));
    ++count_;
    body[kFecHeader + 4] = 81;
    const bool full = encoder_.add(now_, {body.data(), kFecHeader + size});
    const std::size_t parity_size = encoder_.parity_size();
    std::vector<Buffer> parity(full ? code_.parity_shards() : 0, Buffer(kMaxDatagram));
    std::vector<std::uint8_t*> outs;
    for (Buffer& row : parity) outs.push_back(row.data());
    if (full) parity.resize(encoder_.finish_group(outs));
    if (!full && input.u8() & 1) encoder_.end_batch();
    std::vector<Buffer> out;
    out.emplace_back(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(kFecHeader + size));
    sent.insert(Buffer(out[0].begin() + kFecHeader, out[0].end()));
    for (Buffer& row : parity) {
      row.resize(parity_size);
      out.push_back(std::move(row));
    }
    encoder_.end_batch();  // what it had views of goes now
    return out;
  }

  std::set<Buffer> sent;

 private:
  ReedSolomonCode code_;
  FecEncoder encoder_;
  TimePoint now_{seconds(1)};
  std::uint32_t count_ = 0;
};

void lose_and_recover(Input& input) {
  const FecSettings theirs = counts(input);
  const FecSettings own = input.u8() & 1 ? theirs : input.u8() & 1 ? counts(input) : FecSettings{0, 0};
  Sender sender(theirs);
  ErasureCodeCache codes{make_reed_solomon};
  FecDecoder decoder(own, codes);
  std::vector<Buffer> late;
  const auto deliver = [&](const Buffer& packet) {
    decoder.handle(packet);
    for (const Bytes kcp : decoder.recovered())
      KCPTUN_CHECK(sender.sent.contains(Buffer(kcp.begin(), kcp.end())));
    decoder.end_batch();
  };
  while (!input.empty()) {
    for (Buffer& packet : sender.next(input)) {
      const std::uint8_t fate = input.u8();
      if (fate < 60) continue;             // lost
      if (fate < 75 && late.size() < 8) {  // held back
        late.push_back(std::move(packet));
        continue;
      }
      deliver(packet);
      if (fate < 90) deliver(packet);  // twice
      if (fate < 110 && !late.empty()) {
        deliver(late.back());
        late.pop_back();
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  input.u8() & 1 ? erase_and_decode(input) : lose_and_recover(input);
  return 0;
}
