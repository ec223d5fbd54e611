// Validates the peer's new address on behalf of a link (RFC 9000 section 8.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/kcp/kcp.h"
#include "core/link/link_context.h"
#include "core/link/packet_source.h"
#include "core/link/path_validation.h"

namespace kcptun {

/// What changed when a peer moved. A NAT that has forgotten its mapping changes only the port.
enum class PathChange : std::uint8_t { kPort, kAddress };

/// Sends PathValidation's echo requests, recognises their answers, and resets what Kcp knows of the path when
/// another address is validated (RFC 9000 section 9.4).
class PathValidator final : public PacketSource {
 public:
  /// `kcp` outlives the validator.
  PathValidator(Kcp& kcp, const PacketOverhead& overhead)
      : PacketSource(Kind::kProbe), kcp_(kcp), overhead_(overhead) {}

  /// The peer's packets come from another address.
  void handle_peer_moved(TimePoint now, PathChange change);
  /// The address where the peer is now has answered.
  void handle_validated();
  /// The peer is back at an address that was validated before.
  void handle_peer_returned();
  /// Packets with so many body bytes came from the address where the peer is now.
  void handle_received(std::size_t packets, std::size_t bytes) {
    validation_.handle_received(bytes + packets * overhead_.crypto());
  }
  /// Kcp has handled packets: one of them may be the answer.
  void handle_echo();

  Polled poll_packet(TimePoint now, MutableBytes room) override;
  std::optional<TimePoint> next_timeout() const override {
    return validation_.next_timeout(echo_request_size());
  }

  /// False while the address where the peer is now has not answered.
  bool validated() const { return !validation_.pending(); }
  PathValidation& validation() { return validation_; }

 private:
  std::size_t echo_request_size() const { return overhead_.crypto() + kSegmentHeader; }

  Kcp& kcp_;
  const PacketOverhead overhead_;
  PathValidation validation_;
  PathChange change_ = PathChange::kPort;  // since the last address that was validated
};

}  // namespace kcptun
