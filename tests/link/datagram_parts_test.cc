// The parts of the datagram channel: records, reassembly, what a receiver takes.
#include <catch2/catch.hpp>
#include <numeric>
#include <vector>

#include "core/link/datagram_receiver.h"

namespace kcptun::datagram_parts_test {
namespace {

using Buffer = std::vector<std::uint8_t>;
constexpr std::uint32_t kConv = 7;
const TimePoint kStart{seconds(100)};

Buffer packet(std::uint32_t sequence, std::uint32_t conv = kConv) {
  Buffer out(kDatagramHeader);
  write_datagram_header(out.data(), conv, sequence);
  return out;
}

void add_record(Buffer& to, std::uint32_t sid, Bytes payload, const std::optional<Fragment>& fragment = {}) {
  std::uint8_t header[kRecordHeader + kFragmentHeader];
  const std::size_t size = write_record_header(header, sid, payload.size(), fragment);
  to.insert(to.end(), header, header + size);
  to.insert(to.end(), payload.begin(), payload.end());
}

Buffer numbers(std::size_t size) {
  Buffer out(size);
  std::iota(out.begin(), out.end(), std::uint8_t{1});
  return out;
}

/// The parts of a datagram, each in a packet of its own.
std::vector<Buffer> fragments(std::uint16_t id, const Buffer& whole, std::uint8_t count,
                              std::uint32_t first_sequence) {
  std::vector<Buffer> out;
  for (std::uint8_t i = 0; i < count; ++i) {
    const Fragment fragment{id, i, count, static_cast<std::uint32_t>(whole.size())};
    out.push_back(packet(first_sequence + i));
    add_record(out.back(), 3, Bytes(whole).subspan(fragment.offset(), fragment.length()), fragment);
  }
  return out;
}

std::vector<Buffer> drain(DatagramReceiver& receiver) {
  std::vector<Buffer> out;
  while (const auto datagram = receiver.poll())
    out.emplace_back(datagram->bytes.begin(), datagram->bytes.end());
  receiver.release_views();
  return out;
}

}  // namespace

TEST_CASE("a datagram packet has the bytes that the protocol gives it") {
  Buffer bytes = packet(0x01020304, 0xa1a2a3a4);
  add_record(bytes, 0x11, Buffer{0xaa, 0xbb});
  add_record(bytes, 0x13, Buffer{0xcc}, Fragment{0x0506, 1, 2, 3});
  CHECK(bytes == Buffer{0xa4, 0xa3, 0xa2, 0xa1, 0xd5, 0x00, 0x04, 0x03, 0x02, 0x01,  // packet
                        0x02, 0x00, 0x11, 0x00, 0x00, 0x00, 0xaa, 0xbb,              // whole
                        0x01, 0x80, 0x13, 0x00, 0x00, 0x00, 0x06, 0x05, 0x01, 0x02,
                        0x03, 0,    0,    0,  // fragment
                        0xcc});
}

TEST_CASE("records are read back, and a packet that is cut anywhere yields only whole ones") {
  Buffer bytes = packet(0);
  add_record(bytes, 3, numbers(5));
  add_record(bytes, 5, {});
  add_record(bytes, 7, numbers(4), Fragment{1, 0, 2, 7});
  for (std::size_t size = kDatagramHeader; size <= bytes.size(); ++size) {
    Buffer cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    MutableBytes records = MutableBytes(cut).subspan(kDatagramHeader);
    std::size_t whole = 0;
    while (!records.empty() && take_record(records)) ++whole;
    const std::size_t ends[] = {kDatagramHeader + 11, kDatagramHeader + 17, kDatagramHeader + 35};
    const std::size_t expected = (size >= ends[0]) + (size >= ends[1]) + (size >= ends[2]);
    REQUIRE(whole == expected);
  }
}

TEST_CASE("impossible fragments are refused") {
  const auto accepted = [](const Fragment& fragment, std::size_t length) {
    Buffer bytes;
    add_record(bytes, 3, Buffer(length), fragment);
    MutableBytes records(bytes);
    return take_record(records).has_value();
  };
  CHECK(accepted({1, 0, 2, 7}, 4));
  CHECK(accepted({1, 1, 2, 7}, 3));
  CHECK_FALSE(accepted({1, 0, 2, 7}, 3));  // not the length of this part
  CHECK_FALSE(accepted({1, 1, 2, 7}, 4));
  CHECK_FALSE(accepted({1, 2, 2, 7}, 3));  // beyond the count
  CHECK_FALSE(accepted({1, 0, 1, 7}, 7));  // not split
  CHECK_FALSE(accepted({1, 0, 0, 7}, 7));
  CHECK_FALSE(accepted({1, 0, 2, 0}, 0));
  CHECK_FALSE(accepted({1, 3, 4, 9}, 0));  // the last part would be empty
  CHECK(accepted({1, 0, 255, kMaxFlowDatagram}, (kMaxFlowDatagram + 254) / 255));
  CHECK_FALSE(accepted({1, 0, 255, kMaxFlowDatagram + 1}, (kMaxFlowDatagram + 255) / 255));
}

TEST_CASE("a receiver takes each packet once, in any order") {
  DatagramReceiver receiver(kConv);
  const std::uint32_t order[] = {1, 0, 1, 5, 0, 4, 5};
  for (const std::uint32_t sequence : order) {
    Buffer bytes = packet(sequence);
    add_record(bytes, 3, Buffer{static_cast<std::uint8_t>(sequence)});
    receiver.handle_packet(kStart, bytes);
    for (const Buffer& datagram : drain(receiver)) CHECK(datagram[0] == sequence);
  }
  CHECK(receiver.counters().packets == 4);
  CHECK(receiver.counters().datagrams == 4);
  CHECK(receiver.counters().repeated == 3);
}

TEST_CASE("packets that are too late to tell, or before the first, count as repeated") {
  DatagramReceiver receiver(kConv);
  for (const std::uint32_t sequence : {10'000u, 10'001u - 8128u, 10'000u - 8128u, 0xffffffffu}) {
    Buffer bytes = packet(sequence);
    receiver.handle_packet(kStart, bytes);
  }
  CHECK(receiver.counters().packets == 2);
  CHECK(receiver.counters().repeated == 2);
}

TEST_CASE("sequences go on beyond 2^32") {
  DatagramReceiver receiver(kConv);
  for (std::uint64_t number = 0; number < 0x2'0000'0000; number += 0x7000'0000) {
    Buffer bytes = packet(static_cast<std::uint32_t>(number));
    CHECK(receiver.is_newest(bytes));
    receiver.handle_packet(kStart, bytes);
    CHECK_FALSE(receiver.is_newest(bytes));
  }
  CHECK(receiver.counters().repeated == 0);
}

TEST_CASE("packets of another conv and cut ones are counted and dropped") {
  DatagramReceiver receiver(kConv);
  Buffer foreign = packet(0, kConv + 1);
  add_record(foreign, 3, numbers(3));
  CHECK_FALSE(receiver.is_newest(foreign));
  receiver.handle_packet(kStart, foreign);
  Buffer cut = packet(0);
  add_record(cut, 3, numbers(3));
  add_record(cut, 3, numbers(3));
  cut.pop_back();
  receiver.handle_packet(kStart, cut);
  CHECK(receiver.counters().malformed == 2);
  CHECK(drain(receiver) == std::vector<Buffer>{numbers(3)});
}

TEST_CASE("a receiver holds a bounded number of datagrams that nobody polls") {
  DatagramReceiver receiver(kConv);
  constexpr std::uint32_t kEach = 200;
  for (std::uint32_t i = 0; i * kEach < DatagramReceiver::kMaxPending + kEach; ++i) {
    Buffer bytes = packet(i);
    for (std::uint32_t j = 0; j < kEach; ++j) add_record(bytes, 3, {});
    receiver.handle_packet(kStart, bytes);
  }
  CHECK(receiver.counters().overflowed > 0);
  CHECK(drain(receiver).size() == DatagramReceiver::kMaxPending);
}

TEST_CASE("fragments in any order make the datagram, once") {
  const Buffer whole = numbers(1001);
  DatagramReceiver receiver(kConv);
  std::vector<Buffer> parts = fragments(9, whole, 5, 0);
  for (const std::size_t i : {3u, 0u, 4u, 1u}) receiver.handle_packet(kStart, parts[i]);
  CHECK(receiver.reassembler().size() == 1);
  receiver.handle_packet(kStart, parts[2]);
  CHECK(drain(receiver) == std::vector<Buffer>{whole});
  CHECK(receiver.reassembler().size() == 0);
  CHECK(receiver.reassembler().bytes() == 0);
}

TEST_CASE("a fragment that comes twice in packets of its own does not complete the datagram") {
  const Buffer whole = numbers(100);
  DatagramReceiver receiver(kConv);
  for (std::uint32_t i = 0; i < 2; ++i) receiver.handle_packet(kStart, fragments(9, whole, 2, 10 * i)[0]);
  CHECK(drain(receiver).empty());
}

TEST_CASE("incomplete datagrams are dropped for age, number and bytes") {
  DatagramReassembler reassembler;
  Buffer part(kMaxFlowDatagram);
  const auto begin = [&](TimePoint now, std::uint16_t id, std::uint32_t size) {
    const Fragment fragment{id, 0, 255, size};
    return reassembler.add(now, {3, fragment, MutableBytes(part).first(fragment.length())}).has_value();
  };
  SECTION("age") {
    begin(kStart, 1, 1000);
    begin(kStart + milliseconds(1), 2, 1000);
    CHECK(reassembler.next_timeout() == kStart + DatagramReassembler::kMaxAge);
    reassembler.handle_timeout(kStart + DatagramReassembler::kMaxAge - microseconds(1));
    CHECK(reassembler.size() == 2);
    reassembler.handle_timeout(kStart + DatagramReassembler::kMaxAge);
    CHECK(reassembler.size() == 1);
    CHECK(reassembler.incomplete() == 1);
  }
  SECTION("number") {
    for (std::uint16_t id = 0; id < DatagramReassembler::kMaxDatagrams; ++id) begin(kStart, id, 1000);
    CHECK(reassembler.incomplete() == 0);
    begin(kStart, 999, 1000);
    CHECK(reassembler.incomplete() == 1);
    CHECK(reassembler.size() == DatagramReassembler::kMaxDatagrams);
  }
  SECTION("bytes") {
    for (std::uint16_t id = 0; id < 17; ++id) begin(kStart, id, kMaxFlowDatagram);
    CHECK(reassembler.size() == 16);
    CHECK(reassembler.bytes() == DatagramReassembler::kMaxBytes);
  }
  SECTION("an id that is used again for another size") {
    begin(kStart, 1, 1000);
    begin(kStart, 1, 2000);
    CHECK(reassembler.size() == 1);
    CHECK(reassembler.bytes() == 2000);
  }
}

}  // namespace kcptun::datagram_parts_test
