// What the client's and the server's part of a loop have in common.
#pragma once

#include <memory>
#include <string_view>

#include "config/profile.h"
#include "daemon/counters.h"
#include "daemon/loop/loop.h"

namespace kcptun {

/// One loop's share of the tunnel. Lives on its loop's thread, but for construction and destruction.
class TunnelPart {
 public:
  virtual ~TunnelPart() = default;
  /// Sums of its sessions, past and present.
  virtual Counters counters() const = 0;
  /// Ends all streams, telling the peer, and stops listening.
  virtual void shut_down() = 0;
};

/// The suite's packets need `mtu`; sockets take their options from the profile.
UdpSocket::Options udp_options(const Profile& profile, std::uint32_t index);
/// Says in the log, once, that the kernel granted less than sockbuf, and how to raise it.
void warn_of_clamped_buffers(const UdpSocket& socket, const Profile& profile);

}  // namespace kcptun
