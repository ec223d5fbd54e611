// Acknowledgements that wait: which of them leave, and what they cost when there are many.
#include "core/kcp/ack_queue.h"

#include <catch2/catch.hpp>
#include <ctime>
#include <vector>

namespace kcptun::ack_queue_test {
namespace {

/// The time stamps of what one packet of `segments` segments takes.
std::vector<std::uint32_t> flush(AckQueue& acks, std::uint32_t una, std::size_t segments) {
  std::vector<std::uint8_t> packet(segments * kSegmentHeader);
  PacketWriter writer(packet.data(), packet.size());
  Segment blank;
  blank.command = KcpCommand::kAck;
  blank.una = una;
  const std::size_t count = acks.write(writer, blank);
  CHECK(writer.size() == count * kSegmentHeader);
  std::vector<std::uint32_t> stamps;
  Bytes rest = Bytes(packet).first(writer.size());
  while (const std::optional<Segment> segment = take_segment(rest)) stamps.push_back(segment->ts);
  return stamps;
}

}  // namespace

TEST_CASE(
    "acknowledgements that una covers are left out but for the last, and a flush continues in the next "
    "packet") {
  AckQueue acks;
  for (std::uint32_t sn = 0; sn < 10; ++sn) acks.add(sn, 100 + sn);
  CHECK(flush(acks, 6, 3) == std::vector<std::uint32_t>{106, 107, 108});
  CHECK_FALSE(acks.empty());
  CHECK(flush(acks, 6, 3) == std::vector<std::uint32_t>{109});
  CHECK(acks.empty());
  CHECK(flush(acks, 6, 3).empty());
  acks.add(3, 200);
  CHECK(flush(acks, 8, 9) ==
        std::vector<std::uint32_t>{108, 109, 200});  // the last flush again, then the new one
}

TEST_CASE("a queue of acknowledgements is bounded, and its last one is always the newest") {
  AckQueue acks;
  for (std::uint32_t i = 0; i < AckQueue::kMaxPending; ++i) acks.add(5, i);
  CHECK(acks.size() == AckQueue::kMaxPending);
  acks.add(5, 777777);
  CHECK(acks.size() == AckQueue::kMaxPending);
  CHECK(flush(acks, 6, 2) == std::vector<std::uint32_t>{777777});
  CHECK(acks.empty());
}

TEST_CASE("a full queue of acknowledgements costs no more for each packet than an empty one") {
  AckQueue acks;
  for (std::uint32_t i = 0; i < AckQueue::kMaxPending; ++i) acks.add(100 + i, i);
  // A socket that takes one packet for each that comes. Quadratic, this took most of a minute of the
  // processor.
  const std::clock_t begin = std::clock();
  for (std::uint32_t i = 0; i < 65536; ++i) {
    acks.add(100, i);
    flush(acks, i % 100, 2);
  }
  CHECK((std::clock() - begin) / CLOCKS_PER_SEC < 10);
}

TEST_CASE("an acknowledgement that names a late transmission is written although una covers it") {
  using Urgency = AckQueue::Urgency;
  AckQueue queue;
  queue.add(1, 100);
  queue.add(2, 90, Urgency::kAlways);
  queue.add(3, 101);
  std::vector<std::uint8_t> packet(500);
  PacketWriter writer(packet.data(), packet.size());
  Segment blank;
  blank.una = 10;
  CHECK(queue.write(writer, blank) == 2);
  CHECK(load_u32(packet.data() + 12) == 2);
  CHECK(load_u32(packet.data() + kSegmentHeader + 12) == 3);
  CHECK(queue.empty());
}

}  // namespace kcptun::ack_queue_test
