#include "core/base/packet.h"

#include <catch2/catch.hpp>
#include <cstring>

namespace kcptun::transmit_batch_test {
namespace {

Path path_to(std::uint16_t port) {
  Path path;
  path.remote.port = port;
  return path;
}

}  // namespace

TEST_CASE("a full batch still has slots for the parity of its last group") {
  TransmitBatch batch;
  batch.begin_run(path_to(1));
  while (batch.room() > 0) std::memset(batch.push(kMaxDatagram).data, 1, kPacketStride);
  CHECK(batch.size() == kBatchPackets);
  for (std::size_t i = 0; i < kSpareSlots; ++i) std::memset(batch.push(kMaxDatagram).data, 2, kPacketStride);
  CHECK(batch.packets()[kBatchPackets - 1].data[0] == 1);
  CHECK(batch.packets()[kBatchPackets].data[0] == 2);
}

TEST_CASE("packets of one path are one run, and a run that stayed empty vanishes") {
  TransmitBatch batch;
  batch.begin_run(path_to(1));
  batch.push(10);
  batch.begin_run(path_to(1));
  batch.push(20);
  batch.begin_run(path_to(2));
  batch.begin_run(path_to(3));
  batch.push(30);
  REQUIRE(batch.runs().size() == 2);
  CHECK(batch.runs()[0].count == 2);
  CHECK(batch.runs()[1].path == path_to(3));
  CHECK(batch.runs()[1].first == 2);
  batch.clear();
  CHECK(batch.empty());
  CHECK(batch.runs().empty());
}

}  // namespace kcptun::transmit_batch_test
