// Fits KCP's packets to what the path carries.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/kcp/kcp.h"
#include "core/link/link_context.h"
#include "core/link/packet_source.h"
#include "core/link/path_mtu.h"

namespace kcptun {

/// Sends the probes that PathMtu asks for, reports their answers to it, and sets Kcp's packet size. Does
/// nothing unless KcpSettings::find_mtu. Also ends a session whose segments are too large for a path that has
/// shrunk, if the path does not carry their fragments either.
class MtuProber final : public PacketSource {
 public:
  /// Packets of one probe: the padded one and, with the last of a size, a small one that any live peer
  /// answers.
  static constexpr std::size_t kMaxPackets = 2;

  /// `kcp` outlives the prober.
  MtuProber(Kcp& kcp, const KcpSettings& settings, const PacketOverhead& overhead);

  /// Valid segments of the peer arrived.
  void handle_arrival(TimePoint now);
  /// A KCP packet of `size` bytes left.
  void handle_data_packet(TimePoint now, std::size_t size) {
    if (path_mtu_ && size >= PathMtu::kFloor - overhead_.total()) path_mtu_->handle_large_packet(now);
  }
  /// REQUIRES: room for kMaxPackets in the batch.
  Polled poll_packet(TimePoint now, MutableBytes room) override;
  std::optional<TimePoint> next_timeout() const override;

  /// Why the session is over because of its packets' size; empty while it is not.
  std::string_view error() const { return error_; }
  /// None unless KcpSettings::find_mtu.
  const std::optional<PathMtu>& path_mtu() const { return path_mtu_; }

 private:
  void set_packet_size();
  void watch_oversize(TimePoint now);

  Kcp& kcp_;
  const PacketOverhead overhead_;
  std::optional<PathMtu> path_mtu_;
  std::optional<std::uint32_t> echo_request_;  // time stamp of the small packet that is due behind a probe
  TimePoint heard_at_{};
  std::uint32_t oversize_una_ =
      0;  // una since oversize_since_, while segments are out that are too large for the path
  TimePoint oversize_since_{};
  std::string_view error_;
};

}  // namespace kcptun
