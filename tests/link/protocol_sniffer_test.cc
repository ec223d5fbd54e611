#include "core/link/protocol_sniffer.h"

#include <catch2/catch.hpp>
#include <vector>

#include "core/stream/snappy_frames.h"

namespace kcptun::test::protocol_sniffer_test {
namespace {

const std::vector<std::uint8_t> kSnappy{0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59};

std::vector<std::uint8_t> syn(std::uint8_t version) { return {version, 0, 0, 0, 3, 0, 0, 0}; }

ProtocolSniffer first(const std::vector<std::uint8_t>& bytes) {
  ProtocolSniffer kept;
  kept.observe(bytes);
  return kept;
}

TEST_CASE("each mismatch is recognised by the first bytes") {
  const ProtocolSniffer none;
  CHECK(find_mismatch(first(kSnappy), none, false, 2) == Mismatch::kOnlyPeerCompresses);
  CHECK(find_mismatch(first(syn(2)), none, true, 2) == Mismatch::kOnlyWeCompress);
  CHECK(find_mismatch(first(syn(1)), none, true, 2) == Mismatch::kOnlyWeCompress);
  CHECK(find_mismatch(first(syn(1)), none, false, 2) == Mismatch::kSmuxVersion);
  CHECK(find_mismatch(first(kSnappy), first(syn(1)), true, 2) == Mismatch::kSmuxVersion);
}

TEST_CASE("matching ends and garbage show no mismatch") {
  const ProtocolSniffer none;
  CHECK(find_mismatch(first(kSnappy), first(syn(2)), true, 2) == Mismatch::kNone);
  CHECK(find_mismatch(first(syn(1)), none, false, 1) == Mismatch::kNone);
  for (const bool compress : {false, true}) {
    CHECK(find_mismatch(none, none, compress, 2) == Mismatch::kNone);
    CHECK(find_mismatch(first({9, 9, 9, 9, 9, 9, 9, 9}), none, compress, 2) == Mismatch::kNone);
    CHECK(find_mismatch(first({1, 77, 0, 0, 3, 0, 0, 0}), none, compress, 2) == Mismatch::kNone);
  }
}

TEST_CASE("A session that begins with our mark is a probe, and none of its settings a mistake") {
  const ProtocolSniffer none;
  const std::vector<std::uint8_t> mark{1, 3, 0, 0, 0x76, 0x6b, 0x75, 0};
  std::vector<std::uint8_t> snappy(kSnappyMaxEncoded);
  Bytes plain = mark;
  snappy.resize(SnappyFramer().encode(plain, snappy));
  CHECK(find_mismatch(first(mark), none, true, 2) == Mismatch::kNone);
  CHECK(find_mismatch(first(mark), none, false, 2) == Mismatch::kNone);
  CHECK(find_mismatch(first(snappy), none, false, 2) == Mismatch::kNone);
  CHECK(find_mismatch(first(snappy), first(mark), true, 2) == Mismatch::kNone);
  // Behind a SYN it is a client's.
  auto client = syn(1);
  client.insert(client.end(), mark.begin(), mark.end());
  CHECK(find_mismatch(first(client), none, false, 2) == Mismatch::kSmuxVersion);
}

TEST_CASE("The first bytes may come one by one, and too few of them tell nothing") {
  ProtocolSniffer bytes;
  const ProtocolSniffer none;
  for (const std::uint8_t byte : kSnappy) {
    bytes.observe({&byte, 1});
    bytes.observe({});
  }
  CHECK(find_mismatch(bytes, none, false, 2) == Mismatch::kOnlyPeerCompresses);
  for (std::size_t size = 0; size < kFrameHeader; ++size) {
    const auto frame = syn(1);
    CHECK(find_mismatch(first({frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)}), none,
                        false, 2) == Mismatch::kNone);
  }
}

}  // namespace
}  // namespace kcptun::test::protocol_sniffer_test
