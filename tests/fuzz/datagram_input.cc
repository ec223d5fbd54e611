// Bytes of any peer against the receiving end of the datagram channel, and datagrams of any size through both
// ends: bounds hold, and what is sent arrives as it was.
#include <deque>
#include <vector>

#include "core/base/check.h"
#include "core/link/datagram_queue.h"
#include "core/link/datagram_receiver.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

constexpr std::uint32_t kConv = 1;

/// Headers with any fields, and any bytes.
std::vector<std::uint8_t> packet(Input& input) {
  std::vector<std::uint8_t> bytes(kDatagramHeader);
  write_datagram_header(bytes.data(), input.u8() & 15 ? kConv : input.u32(), input.near());
  const std::size_t records = input.u8() % 4;
  for (std::size_t i = 0; i < records; ++i) {
    std::uint8_t header[kRecordHeader + kFragmentHeader];
    std::optional<Fragment> fragment;
    std::size_t length = input.u8();
    if (input.u8() & 1) {
      fragment = Fragment{input.u8(), input.u8(), input.u8(), input.u8() & 15 ? input.u16() : input.u32()};
      if (fragment->count > 1 && fragment->index < fragment->count && input.u8() & 15)
        length = fragment->length() % kFragmentFlag;
    }
    const std::size_t size = write_record_header(header, 3 + input.u8() % 4, length, fragment);
    bytes.insert(bytes.end(), header, header + size);
    bytes.resize(bytes.size() + (input.u8() & 15 ? length : input.u8()));
  }
  const std::vector<std::uint8_t> more = input.bytes(input.u8() % 16);
  bytes.insert(bytes.end(), more.begin(), more.end());
  return {bytes.begin(), bytes.end()};  // exactly sized
}

void check(const DatagramReceiver& receiver) {
  KCPTUN_CHECK(receiver.reassembler().size() <= DatagramReassembler::kMaxDatagrams);
  KCPTUN_CHECK(receiver.reassembler().bytes() <= DatagramReassembler::kMaxBytes);
}

void feed_anything(Input& input) {
  DatagramReceiver receiver(kConv);
  TimePoint now{seconds(1)};
  while (!input.empty()) {
    std::vector<std::uint8_t> bytes = packet(input);
    receiver.handle_packet(now, bytes);
    unsigned sum = 0;
    while (const auto datagram = receiver.poll())
      for (const std::uint8_t byte : datagram->bytes) sum += byte;
    receiver.release_views();
    check(receiver);
    now += milliseconds(input.u8() + (sum & 1));
    receiver.handle_timeout(now);
  }
}

/// Through both ends, in packets of changing sizes, none of which is lost.
void send_and_receive(Input& input) {
  BufferPool pool(kMaxDatagram);
  Kcp kcp(kConv, KcpSettings{}, 300 + input.u8() * 4u, pool);
  DatagramQueue queue(kcp);
  DatagramReceiver receiver(kConv);
  std::deque<std::vector<std::uint8_t>> expected;
  TimePoint now{seconds(1)};
  while (!input.empty()) {
    const std::vector<std::uint8_t> datagram((input.u8() & 3) ? input.u8() : input.u16(), input.u8());
    if (queue.add(now, 3, {}, datagram)) expected.push_back(datagram);
    if (input.u8() & 1) continue;
    std::vector<std::uint8_t> out(kMaxDatagram);
    for (std::size_t size; (size = queue.poll_packet(now, out).size) > 0;) {
      receiver.handle_packet(now, MutableBytes(out).first(size));
      while (const auto arrived = receiver.poll()) {
        KCPTUN_CHECK(!expected.empty() && std::equal(arrived->bytes.begin(), arrived->bytes.end(),
                                                     expected.front().begin(), expected.front().end()));
        expected.pop_front();
      }
      receiver.release_views();
    }
    KCPTUN_CHECK(queue.empty());
    KCPTUN_CHECK(expected.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  if (input.u8() & 1) {
    feed_anything(input);
  } else {
    send_and_receive(input);
  }
  return 0;
}
