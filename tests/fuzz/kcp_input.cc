// Packets of any peer against one KCP conversation that also sends: what it sends is well-formed, and its
// memory stays within its windows.
#include <memory>

#include "core/base/check.h"
#include "core/base/packet.h"
#include "core/kcp/kcp.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

constexpr std::uint32_t kConv = 0x11223344;
constexpr std::size_t kPacketSize = 200;

class Peer {
 public:
  Peer(const KcpSettings& settings) : settings_(settings), kcp_(kConv, settings, kPacketSize, pool_) {}

  void act(Input& input) {
    switch (input.u8() % 8) {
      case 0:
        return receive(input.bytes(input.below(kPacketSize)));
      case 1:
      case 2:
        return receive(segments(input));
      case 3:
        return write(input.u16() % 4096);
      case 4:
        return read(input.u8());
      case 5:
        return send(input.u8());
      case 6:
        return wait(milliseconds(input.u8()));
      case 7:
        return wait(milliseconds(input.u16() * 4));
    }
  }

  void finish() {
    end_batch();
    read(65536);
    // Segments queued and under way, and those that wait or came too early.
    KCPTUN_CHECK(pool_.in_use() <= 2 * std::size_t{settings_.receive_window} + kcp_.send_window().size());
  }

 private:
  std::vector<std::uint8_t> segments(Input& input) {
    std::vector<std::uint8_t> packet;
    for (std::uint8_t count = 1 + input.u8() % 3; count > 0; --count) {
      Segment segment;
      segment.conv = kConv;
      segment.command = static_cast<KcpCommand>(81 + input.u8() % 4);
      segment.window = input.u16();
      segment.ts = wire_ms(now_) - input.u8();
      segment.sn =
          (segment.command == KcpCommand::kPush ? kcp_.receive_window().next() : kcp_.send_window().una()) +
          input.near();
      segment.una = kcp_.send_window().una() + input.near();
      const std::vector<std::uint8_t> data = input.bytes(input.u8());
      const std::size_t at = packet.size();
      packet.resize(at + kSegmentHeader);
      write_segment_header(packet.data() + at, segment, data.size());
      packet.insert(packet.end(), data.begin(), data.end());
    }
    return packet;
  }

  void receive(std::vector<std::uint8_t> packet) {
    batch_.push_back(std::move(packet));
    kcp_.handle_packet(now_, batch_.back(),
                       batch_.size() % 5 == 4 ? Kcp::Origin::kRecovered : Kcp::Origin::kArrived);
    if (batch_.size() % 3 == 0) end_batch();
  }

  void end_batch() {
    kcp_.end_batch(now_);
    batch_.clear();
  }

  void write(std::size_t bytes) {
    end_batch();
    bytes = std::min(bytes, kcp_.send_room());
    if (bytes == 0) return;
    std::vector<MutableBytes> pieces;
    kcp_.prepare(bytes, pieces);
    for (const MutableBytes piece : pieces) std::ranges::fill(piece, std::uint8_t{0x5a});
    kcp_.commit(bytes - bytes / 3);
  }

  void read(std::size_t pieces) {
    for (; pieces > 0; --pieces) {
      const auto piece = kcp_.read();
      if (!piece) return;
      for (const std::uint8_t byte : piece->data) sum_ += byte;
    }
  }

  void send(std::size_t packets) {
    end_batch();
    for (; packets > 0; --packets) {
      std::vector<std::uint8_t> out(kPacketSize);
      const std::size_t size = kcp_.poll_packet(now_, out.data());
      KCPTUN_CHECK(size <= kPacketSize);
      if (size == 0) return;
      for (Bytes left = Bytes(out).first(size); !left.empty();) {
        const std::optional<Segment> segment = take_segment(left);
        KCPTUN_CHECK(segment && segment->conv == kConv);
        KCPTUN_CHECK(segment->window <= settings_.receive_window);
      }
    }
  }

  void wait(Duration by) {
    end_batch();
    now_ += by;
    if (const auto due = kcp_.next_timeout(); due && *due <= now_) kcp_.handle_timeout(now_);
    kcp_.trim();
  }

  BufferPool pool_{kMaxDatagram};
  KcpSettings settings_;
  Kcp kcp_;
  TimePoint now_{seconds(100)};
  std::vector<std::vector<std::uint8_t>> batch_;
  unsigned sum_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  KcpSettings settings;
  const std::uint8_t how = input.u8();
  settings.tuning.nodelay = how & 1;
  settings.tuning.no_congestion_control = how & 2;
  settings.tuning.resend = how >> 6;
  settings.send_window = 1 + input.u8();
  settings.receive_window = 1 + input.u8();
  Peer peer(settings);
  while (!input.empty()) peer.act(input);
  peer.finish();
  return 0;
}
