// Any bytes as a stream of framed datagrams: in one piece and in pieces of any size, the reader finds the
// same datagrams.
#include <vector>

#include "core/base/check.h"
#include "core/proxy/datagram_frame.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

struct Outcome {
  std::vector<std::vector<std::uint8_t>> datagrams;
  bool failed = false;
  bool operator==(const Outcome&) const = default;
};

Outcome read(Bytes stream, std::size_t piece) {
  DatagramFrameReader reader;
  Outcome outcome;
  while (!stream.empty()) {
    const Bytes part = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(part.size());
    std::vector<std::uint8_t> exact(part.begin(), part.end());
    MutableBytes input(exact);
    while (const auto datagram = reader.next(input)) {
      KCPTUN_CHECK(datagram->size() + kFrameHead <= kMaxFrame);
      KCPTUN_CHECK(split_datagram(*datagram).has_value());
      outcome.datagrams.emplace_back(datagram->begin(), datagram->end());
    }
  }
  outcome.failed = reader.failed();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::size_t piece = 1 + input.u8();
  const std::vector<std::uint8_t> stream = input.rest();
  KCPTUN_CHECK(read(stream, piece) == read(stream, std::max<std::size_t>(stream.size(), 1)));
  return 0;
}
