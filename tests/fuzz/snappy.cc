// The Snappy framing format: any bytes against the reader, and what our writer wrote comes back whatever the
// pieces.
#include "core/base/check.h"
#include "core/stream/snappy_frames.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

constexpr std::size_t kMaxHeld =
    2 * (4 + kSnappyMaxEncoded);  // a chunk; a vector may have grown to twice of it

using Buffer = std::vector<std::uint8_t>;

// Feeds `stream` in pieces that `cuts` decides; what came out, and whether the reader is still content.
bool inflate(Input cuts, Bytes stream, Buffer& plain) {
  SnappyDeframer deframer;
  Buffer out(kSnappyBlock);
  while (!stream.empty()) {
    const std::size_t take = std::min<std::size_t>(stream.size(), cuts.empty() ? 1000 : 1 + cuts.u8());
    const Buffer piece(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(take));
    stream = stream.subspan(take);
    for (Bytes left = piece;;) {
      const SnappyDeframer::Step step = deframer.feed(left, out);
      KCPTUN_CHECK(deframer.held_bytes() <= kMaxHeld);
      if (step.status == SnappyDeframer::Status::kFailed) {
        KCPTUN_CHECK(deframer.failed());
        return false;
      }
      if (step.status == SnappyDeframer::Status::kMore) break;
      KCPTUN_CHECK(!step.block.empty() && step.block.size() <= kSnappyBlock);
      plain.insert(plain.end(), step.block.begin(), step.block.end());
    }
  }
  return true;
}

Buffer deflate(Input cuts, Bytes plain) {
  SnappyFramer framer;
  Buffer stream, chunk(kSnappyMaxEncoded);
  while (!plain.empty()) {
    const std::size_t take = std::min<std::size_t>(plain.size(), cuts.empty() ? 70000 : 1 + cuts.u16());
    for (Bytes piece = plain.first(take); !piece.empty();) {
      const std::size_t size = framer.encode(piece, chunk);
      KCPTUN_CHECK(size <= chunk.size());
      stream.insert(stream.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(size));
    }
    plain = plain.subspan(take);
  }
  return stream;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::uint8_t how = input.u8();
  const Buffer cuts = input.bytes(input.u8());
  const Input cut(cuts.data(), cuts.size());
  Buffer out;
  if (how & 1) {
    Buffer stream{0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};
    if (how & 2) stream.clear();
    const Buffer rest = input.rest();
    stream.insert(stream.end(), rest.begin(), rest.end());
    inflate(cut, stream, out);
    return 0;
  }
  Buffer plain = input.rest();
  if (how & 2 && !plain.empty()) {  // longer than a block
    while (plain.size() < 80000)
      plain.insert(plain.end(), plain.begin(),
                   plain.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(plain.size(), 40000)));
  }
  KCPTUN_CHECK(inflate(cut, deflate(cut, plain), out));
  KCPTUN_CHECK(out == plain);
  return 0;
}
