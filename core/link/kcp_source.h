// KCP's packets, as a link sends them.
#pragma once

#include <cstddef>
#include <utility>

#include "core/kcp/kcp.h"
#include "core/link/mtu_prober.h"
#include "core/link/packet_source.h"

namespace kcptun {

/// Polls Kcp, and reports large packets to the MTU prober. Both outlive it.
class KcpSource final : public PacketSource {
 public:
  KcpSource(Kcp& kcp, MtuProber& mtu_prober)
      : PacketSource(Kind::kData), kcp_(kcp), mtu_prober_(mtu_prober) {}

  Polled poll_packet(TimePoint now, MutableBytes room) override {
    const std::size_t size = kcp_.poll_packet(now, room.data(), room.size());
    mtu_prober_.handle_data_packet(now, size);
    bytes_ += size;
    return {size};
  }
  /// Bytes polled since the last call.
  std::size_t take_bytes() { return std::exchange(bytes_, 0); }
  std::optional<TimePoint> next_timeout() const override { return kcp_.next_timeout(); }

 private:
  Kcp& kcp_;
  MtuProber& mtu_prober_;
  std::size_t bytes_ = 0;
};

}  // namespace kcptun
