#include "daemon/net/faketcp/tcp_segment.h"

#include <algorithm>
#include <array>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/net/address.h"
#include "daemon/net/faketcp/tcp_sequence.h"

namespace kcptun::tcp_segment_test {
namespace {

IpEndpoint at(std::string_view text) { return parse_endpoint(text).value(); }

std::vector<std::uint8_t> segment_of(const IpEndpoint& from, const IpEndpoint& to,
                                     std::vector<std::uint8_t> payload,
                                     std::uint8_t flags = kTcpPsh | kTcpAck) {
  TcpSegment segment;
  segment.sequence = 0x01020304;
  segment.acknowledgment = 0xf0e0d0c0;
  segment.flags = flags;
  segment.window = 0x1234;
  segment.payload = payload;
  std::vector<std::uint8_t> bytes(kTcpHeader);
  write_tcp_header(std::span<std::uint8_t, kTcpHeader>(bytes.data(), kTcpHeader), segment, from, to);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

std::vector<std::uint8_t> counting(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + 1);
  return bytes;
}

// The segment of the test below without its checksum.
const std::vector<std::uint8_t> kByHand{0x9c, 0x40, 0x0f, 0xa0, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
                                        0x02, 0x50, 0x18, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 'h',  'i'};

}  // namespace

TEST_CASE("a segment that was written is read back, for both families and every size") {
  for (const auto& [from, to] : {std::pair{at("10.0.0.1:40000"), at("10.0.0.2:4000")},
                                 std::pair{at("[2001:db8::1]:40000"), at("[2001:db8::2]:4000")}}) {
    for (std::size_t size : {0u, 1u, 2u, 3u, 1349u, 1350u, 1500u}) {
      auto bytes = segment_of(from, to, counting(size));
      CHECK(tcp_checksum_holds(bytes, from, to));
      const auto read = parse_tcp_segment(bytes);
      REQUIRE(read);
      CHECK(read->source_port == 40000);
      CHECK(read->destination_port == 4000);
      CHECK(read->sequence == 0x01020304);
      CHECK(read->acknowledgment == 0xf0e0d0c0);
      CHECK(read->flags == (kTcpPsh | kTcpAck));
      CHECK(read->window == 0x1234);
      CHECK(std::ranges::equal(read->payload, counting(size)));
    }
  }
}

TEST_CASE("the checksum is that of RFC 9293, summed by hand") {
  // 0a00 0001 0a00 0002 0006 0016 and the segment's words: 9c40 0fa0 0000 0001 0000 0002 5018 ffff 0000 6869.
  TcpSegment segment;
  segment.sequence = 1;
  segment.acknowledgment = 2;
  segment.flags = kTcpPsh | kTcpAck;
  segment.window = 0xffff;
  std::array<std::uint8_t, 2> payload{'h', 'i'};
  segment.payload = payload;
  std::array<std::uint8_t, kTcpHeader> header{};
  write_tcp_header(header, segment, at("10.0.0.1:40000"), at("10.0.0.2:4000"));
  std::uint32_t sum = 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 0x0006 + 0x0016;
  for (std::size_t i = 0; i < kByHand.size(); i += 2) sum += kByHand[i] << 8 | kByHand[i + 1];
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  CHECK((header[16] << 8 | header[17]) == static_cast<int>(~sum & 0xffff));
  CHECK(std::equal(header.begin(), header.begin() + 16, kByHand.begin()));
}

TEST_CASE("a flipped bit anywhere, or another address, breaks the checksum") {
  const auto from = at("10.0.0.1:40000"), to = at("10.0.0.2:4000");
  auto bytes = segment_of(from, to, counting(61));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    CHECK_FALSE(tcp_checksum_holds(bytes, from, to));
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
  }
  CHECK_FALSE(tcp_checksum_holds(bytes, at("10.0.0.3:40000"), to));
  CHECK_FALSE(tcp_checksum_holds(bytes, from, at("[::1]:4000")));
}

TEST_CASE("a segment cut at any length is refused or shorter, and options are skipped") {
  const auto from = at("10.0.0.1:40000"), to = at("10.0.0.2:4000");
  const auto whole = segment_of(from, to, counting(40));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::vector<std::uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto read = parse_tcp_segment(cut);
    CHECK(read.has_value() == (size >= kTcpHeader));
    if (read) CHECK(read->payload.size() == size - kTcpHeader);
    CHECK_FALSE(tcp_checksum_holds(cut, from, to));
  }
  for (int words = 0; words < 16; ++words) {
    auto bytes = whole;
    bytes[12] = static_cast<std::uint8_t>(words << 4);
    const auto read = parse_tcp_segment(bytes);
    CHECK(read.has_value() == (words >= 5));
    if (read) CHECK(read->payload.size() == bytes.size() - static_cast<std::size_t>(words) * 4);
  }
}

TEST_CASE("an IPv4 packet cut at any length, a fragment and another protocol are refused") {
  const auto from = at("192.0.2.1:40000"), to = at("192.0.2.2:4000");
  const auto segment = segment_of(from, to, counting(30));
  std::vector<std::uint8_t> packet{0x46, 0, 0, 0, 0,   0, 0x40, 0, 64, 6, 0, 0,
                                   192,  0, 2, 1, 192, 0, 2,    2, 1,  1, 1, 1};
  packet.insert(packet.end(), segment.begin(), segment.end());
  packet[3] = static_cast<std::uint8_t>(packet.size());
  auto read = parse_ipv4_packet(packet);
  REQUIRE(read);
  CHECK(ip_to_string(read->from) == "192.0.2.1");
  CHECK(ip_to_string(read->to) == "192.0.2.2");
  CHECK(std::ranges::equal(read->payload, segment));
  for (std::size_t size = 0; size < packet.size(); ++size) {
    std::vector<std::uint8_t> cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_FALSE(parse_ipv4_packet(cut));
  }
  auto padded = packet;
  padded.resize(padded.size() + 6);
  REQUIRE(parse_ipv4_packet(padded));
  CHECK(std::ranges::equal(parse_ipv4_packet(padded)->payload, segment));
  const auto refused_with = [&packet](std::size_t index, std::uint8_t value) {
    auto changed = packet;
    changed[index] = value;
    return !parse_ipv4_packet(changed);
  };
  CHECK(refused_with(0, 0x66));  // IPv6
  CHECK(refused_with(0, 0x44));  // a header of 16 bytes
  CHECK(refused_with(3, 23));    // shorter than its header
  CHECK(refused_with(6, 0x20));  // more fragments
  CHECK(refused_with(7, 0x01));  // an offset
  CHECK(refused_with(9, 17));    // UDP
}

TEST_CASE("sequence numbers follow what is sent and what arrives, over their wrap") {
  TcpSequence sequence(0xffffff00, 0xfffffff0);
  CHECK(sequence.take(0x100) == 0xffffff00);
  CHECK(sequence.take(10) == 0);
  sequence.undo_take(10);
  CHECK(sequence.take(20) == 0);
  std::vector<std::uint8_t> payload(0x20);
  TcpSegment segment;
  segment.flags = kTcpPsh | kTcpAck;
  segment.payload = payload;
  segment.sequence = 0xfffffff0;
  segment.acknowledgment = 0;
  sequence.handle(segment);
  CHECK(sequence.acknowledgment() == 0x10);
  segment.sequence = 0x100;  // the gap before it is skipped
  sequence.handle(segment);
  CHECK(sequence.acknowledgment() == 0x120);
  segment.sequence = 0x40;  // late: the acknowledgment does not decrease
  sequence.handle(segment);
  CHECK(sequence.acknowledgment() == 0x120);
  segment.sequence = 0x120 + TcpSequence::kMaxJump;
  sequence.handle(segment);
  CHECK(sequence.acknowledgment() == 0x120);
  segment.sequence -= 0x20;
  sequence.handle(segment);
  CHECK(sequence.acknowledgment() == 0x120 + TcpSequence::kMaxJump);
}

TEST_CASE("a peer that acknowledges nothing beyond a hole is met where it stands, once that is far behind") {
  TcpSequence sequence(1000, 1);
  std::vector<std::uint8_t> payload(1);
  TcpSegment segment;
  segment.flags = kTcpPsh | kTcpAck;
  segment.payload = payload;
  segment.acknowledgment = 1000;
  sequence.take(TcpSequence::kMaxAhead);
  sequence.handle(segment);
  CHECK(sequence.take(1) == 1000 + TcpSequence::kMaxAhead);
  sequence.handle(segment);
  CHECK(sequence.take(1) == 1000);
  segment.acknowledgment = 2000;  // for bytes that were never sent: no effect
  sequence.handle(segment);
  CHECK(sequence.take(1) == 1001);
}

TEST_CASE("only a reset with the very next number ends a connection") {
  const TcpSequence sequence(7, 100);
  TcpSegment segment;
  segment.flags = kTcpRst | kTcpAck;
  for (std::uint32_t number : {99u, 101u, 0u}) {
    segment.sequence = number;
    CHECK_FALSE(sequence.is_ended_by(segment));
  }
  segment.sequence = 100;
  CHECK(sequence.is_ended_by(segment));
  segment.flags = kTcpAck;
  CHECK_FALSE(sequence.is_ended_by(segment));
}

}  // namespace kcptun::tcp_segment_test
