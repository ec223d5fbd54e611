#include "core/link/mtu_prober.h"

#include <utility>

namespace kcptun {
namespace {

// How long a segment that was cut for a larger path may take to arrive in fragments while the peer is heard.
// Shorter, a few lost fragments would end the session; longer, its streams hang longer on a path that drops
// all fragments.
constexpr Duration kOversizePatience = seconds(15);

// Offsets of a probe's time stamps, in ms: far from those of real packets, of which an acknowledgement would
// otherwise count as the probe's.
constexpr std::uint32_t kProbeTimestampOffset = 0x60000000;
constexpr std::uint32_t kEchoTimestampOffset = 0x10000000;

}  // namespace

MtuProber::MtuProber(Kcp& kcp, const KcpSettings& settings, const PacketOverhead& overhead)
    : PacketSource(Kind::kProbe), kcp_(kcp), overhead_(overhead) {
  if (settings.find_mtu) path_mtu_.emplace();
}

void MtuProber::handle_arrival(TimePoint now) {
  if (!path_mtu_) return;
  path_mtu_->handle_arrival(now);
  watch_oversize(now);
  if (!kcp_.take_probe_answer()) return;
  path_mtu_->handle_answer(now);
  set_packet_size();
}

void MtuProber::set_packet_size() {
  const std::size_t size = path_mtu_->size() - overhead_.total();
  if (size != kcp_.segment_size() + kSegmentHeader) kcp_.set_packet_size(size);
}

// Only arrivals count, because silence is no sign of a wrong size.
void MtuProber::watch_oversize(TimePoint now) {
  const std::uint32_t una = kcp_.send_window().una();
  const bool was_silent = now - std::exchange(heard_at_, now) > kOversizePatience / 2;
  if (!kcp_.has_oversize() || was_silent || una != oversize_una_) {
    oversize_una_ = una;
    oversize_since_ = now;
  } else if (now - oversize_since_ >= kOversizePatience) {
    error_ = "the path carries packets of the size of before neither whole nor in fragments";
  }
}

PacketSource::Polled MtuProber::poll_packet(TimePoint now, MutableBytes room) {
  if (echo_request_)
    return {kcp_.write_echo_request(*std::exchange(echo_request_, std::nullopt), room.data())};
  if (!path_mtu_ || kcp_.counters().in_segments == 0) return {};
  const Duration round_trip = kcp_.rtt().smoothed().value_or(kcp_.rtt().timeout());
  const std::optional<std::uint32_t> datagram = path_mtu_->poll_probe(now, round_trip + kcp_.rtt().timeout());
  set_packet_size();  // a probe without an answer may have been the last of its size
  if (!datagram) return {};
  const std::uint32_t ts = wire_ms(now) + kProbeTimestampOffset + *datagram;
  const std::size_t size = *datagram - overhead_.crypto();
  kcp_.write_mtu_probe(ts, size, room.data());
  if (path_mtu_->last_of_its_size()) echo_request_ = ts + kEchoTimestampOffset;
  return {size, TransmitBatch::Fragments::kDontFragment};
}

std::optional<TimePoint> MtuProber::next_timeout() const {
  return path_mtu_ && kcp_.counters().in_segments > 0 ? path_mtu_->next_timeout() : std::nullopt;
}

}  // namespace kcptun
