// Quantum permutation pads: whatever pieces the bytes come in, the other end undoes them, in other pieces.
#include <array>
#include <memory>

#include "core/base/check.h"
#include "core/stream/qpp.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

const QppPads& pads_of(std::uint8_t choice) {
  static constexpr std::array<std::size_t, 6> kCounts{1, 2, 7, 61, 64, 251};
  static std::array<std::unique_ptr<QppPads>, kCounts.size()> pads;
  const std::size_t i = choice % kCounts.size();
  if (!pads[i])
    pads[i] = std::make_unique<QppPads>(i % 2 ? "fuzz" : "a key of more than thirty-two bytes, so as it is",
                                        kCounts[i]);
  return *pads[i];
}

template <typename Step>
void in_pieces(std::vector<std::uint8_t>& bytes, Input& cuts, Step step) {
  for (MutableBytes left = bytes; !left.empty();) {
    const std::size_t take = std::min<std::size_t>(left.size(), cuts.empty() ? left.size() : cuts.u8() % 40);
    step(left.first(take));
    left = left.subspan(take);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const QppPads& pads = pads_of(input.u8());
  const std::vector<std::uint8_t> cut_bytes = input.bytes(input.u8());
  Input cuts(cut_bytes.data(), cut_bytes.size());
  const std::vector<std::uint8_t> plain = input.rest();

  std::vector<std::uint8_t> whole = plain, pieces = plain;
  QppStream(pads).encrypt(whole);
  QppStream sending(pads), receiving(pads);
  in_pieces(pieces, cuts, [&](MutableBytes piece) { sending.encrypt(piece); });
  KCPTUN_CHECK(pieces == whole);
  in_pieces(pieces, cuts, [&](MutableBytes piece) { receiving.decrypt(piece); });
  KCPTUN_CHECK(pieces == plain);
  return 0;
}
