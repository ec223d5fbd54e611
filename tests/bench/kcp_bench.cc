// KCP with whole windows: what it costs to send one, to have one acknowledged, to receive one.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/packet.h"
#include "core/kcp/kcp.h"
#include "core/kcp/segment.h"

namespace kcptun {
namespace {

constexpr std::uint32_t kConv = 0x12345678;
constexpr std::size_t kPacketSize = 1350 - 20 - 8;  // beside the crypto and FEC headers
constexpr std::size_t kSegmentSize = kPacketSize - kSegmentHeader;
constexpr std::uint16_t kPeerWindow = 65535;

KcpSettings settings(std::uint32_t window) {
  KcpSettings settings;
  settings.tuning = kModePresets[3].tuning;  // fast3
  settings.tuning.congestion =
      Congestion::kOff;  // the windows are to be full; no time passes to measure a path by
  settings.send_window = settings.receive_window = window;
  return settings;
}

Segment segment(KcpCommand command, std::uint32_t sn, std::uint32_t una, TimePoint now) {
  Segment segment;
  segment.conv = kConv;
  segment.command = command;
  segment.window = kPeerWindow;
  segment.ts = wire_ms(now);
  segment.sn = sn;
  segment.una = una;
  return segment;
}

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A conversation with a peer that takes whatever comes.
class Sender {
 public:
  explicit Sender(std::uint32_t window)
      : window_(window),
        kcp_(kConv, settings(window), kPacketSize, pool_),
        arena_(kBatchPackets * kPacketStride) {
    acknowledge_all();
  }

  Kcp& kcp() { return kcp_; }
  TimePoint now() const { return now_; }

  /// Queues one window of bytes.
  void fill() {
    now_ += milliseconds(1);
    pieces_.clear();
    kcp_.prepare(window_ * kSegmentSize, pieces_);
    kcp_.commit(window_ * kSegmentSize);
  }
  /// Sends all that is due; returns how many packets.
  std::size_t flush() {
    std::size_t packets = 0;
    while (kcp_.poll_packet(now_, arena_.data() + packets % kBatchPackets * kPacketStride) > 0) ++packets;
    return packets;
  }
  /// The news, in one segment, that all has arrived.
  void acknowledge_all() {
    std::uint8_t packet[kSegmentHeader];
    write_segment_header(packet, segment(KcpCommand::kWindowUpdate, 0, kcp_.send_window().next(), now_), 0);
    kcp_.handle_packet(now_, packet, Kcp::Origin::kArrived);
    kcp_.end_batch(now_);
  }
  /// Packets full of acknowledgements for all that is in flight.
  void make_acks(bool reversed, std::vector<std::vector<std::uint8_t>>& packets) const {
    constexpr std::size_t kPerPacket = kPacketSize / kSegmentHeader;
    const std::uint32_t una = kcp_.send_window().una();
    const std::uint32_t count = kcp_.send_window().next() - una;
    packets.resize((count + kPerPacket - 1) / kPerPacket);
    for (std::vector<std::uint8_t>& packet : packets) packet.clear();
    for (std::uint32_t i = 0; i < count; ++i) {
      std::vector<std::uint8_t>& packet = packets[i / kPerPacket];
      const std::uint32_t sn = una + (reversed ? count - 1 - i : i);
      // As a peer says it: all before this segment have arrived. In the reverse order nothing is complete.
      const std::size_t at = packet.size();
      packet.resize(at + kSegmentHeader);
      write_segment_header(packet.data() + at, segment(KcpCommand::kAck, sn, reversed ? una : sn, now_), 0);
    }
  }

 private:
  const std::uint32_t window_;
  BufferPool pool_{kMaxDatagram};
  TimePoint now_{seconds(1)};
  Kcp kcp_;
  std::vector<std::uint8_t> arena_;
  std::vector<MutableBytes> pieces_;
};

void count_segments(benchmark::State& state, std::uint32_t window) {
  state.SetItemsProcessed(state.iterations() * window);
}

/// One window of new segments leaves: the time is that of the whole window.
void kcp_flush(benchmark::State& state) {
  const auto window = static_cast<std::uint32_t>(state.range(0));
  Sender sender(window);
  for (auto _ : state) {
    sender.fill();
    const Stopwatch watch;
    const std::size_t packets = sender.flush();
    state.SetIterationTime(watch.seconds());
    if (packets != window) state.SkipWithError("not the whole window left");
    sender.acknowledge_all();
  }
  count_segments(state, window);
}
BENCHMARK(kcp_flush)->RangeMultiplier(2)->Range(128, 8192)->UseManualTime();

/// A window in flight of which nothing is due: what each wake-up costs beside the packets. kcp-go's has 1024
/// segments.
void kcp_flush_idle(benchmark::State& state) {
  Sender sender(static_cast<std::uint32_t>(state.range(0)));
  sender.fill();
  if (sender.flush() != static_cast<std::size_t>(state.range(0)))
    state.SkipWithError("not the whole window left");
  for (auto _ : state) {
    sender.kcp().handle_timeout(sender.now());
    benchmark::DoNotOptimize(sender.flush());
    benchmark::DoNotOptimize(sender.kcp().next_timeout());
  }
}
BENCHMARK(kcp_flush_idle)->Name("BenchmarkFlush")->Arg(1024);
BENCHMARK(kcp_flush_idle)->Arg(8192);

enum class Order { kInOrder, kReversed };

/// One window is acknowledged, segment by segment, in batches as they are read from a socket.
void kcp_acknowledge(benchmark::State& state, Order order) {
  const auto window = static_cast<std::uint32_t>(state.range(0));
  Sender sender(window);
  std::vector<std::vector<std::uint8_t>> packets;
  for (auto _ : state) {
    sender.fill();
    sender.flush();
    sender.make_acks(order == Order::kReversed, packets);
    const Stopwatch watch;
    for (std::size_t i = 0; i < packets.size(); ++i) {
      sender.kcp().handle_packet(sender.now(), packets[i], Kcp::Origin::kArrived);
      if (i % 32 == 31 || i + 1 == packets.size()) sender.kcp().end_batch(sender.now());
    }
    state.SetIterationTime(watch.seconds());
    sender.flush();  // in the reverse order some looked lost, and left again
    sender.acknowledge_all();
    if (!sender.kcp().send_window().empty()) state.SkipWithError("not all was acknowledged");
  }
  count_segments(state, window);
}
BENCHMARK_CAPTURE(kcp_acknowledge, in_order, Order::kInOrder)
    ->RangeMultiplier(8)
    ->Range(128, 8192)
    ->UseManualTime();
BENCHMARK_CAPTURE(kcp_acknowledge, reversed, Order::kReversed)
    ->RangeMultiplier(8)
    ->Range(128, 8192)
    ->UseManualTime();

/// One window arrives in batches, is read and answered with acknowledgements.
void kcp_receive(benchmark::State& state) {
  const auto window = static_cast<std::uint32_t>(state.range(0));
  BufferPool pool(kMaxDatagram);
  Kcp kcp(kConv, settings(window), kPacketSize, pool);
  const TimePoint now{seconds(1)};
  std::vector<std::uint8_t> arena(kBatchPackets * kPacketStride), out(kPacketSize);
  for (std::size_t i = 0; i < kBatchPackets; ++i)
    write_segment_header(arena.data() + i * kPacketStride, segment(KcpCommand::kPush, 0, 0, now),
                         kSegmentSize);
  std::uint32_t sn = 0;
  for (auto _ : state) {
    for (std::uint32_t done = 0; done < window; done += kBatchPackets) {
      for (std::size_t i = 0; i < kBatchPackets; ++i) {
        std::uint8_t* const packet = arena.data() + i * kPacketStride;
        store_u32(packet + 12, sn++);
        kcp.handle_packet(now, {packet, kPacketSize}, Kcp::Origin::kArrived);
      }
      while (const auto piece = kcp.read()) benchmark::DoNotOptimize(piece->data.data());
      kcp.end_batch(now);
      while (kcp.poll_packet(now, out.data()) > 0) {
      }
    }
  }
  if (kcp.receive_window().next() != sn) state.SkipWithError("not all arrived");
  count_segments(state, window);
}
BENCHMARK(kcp_receive)->RangeMultiplier(8)->Range(128, 8192);

}  // namespace
}  // namespace kcptun
