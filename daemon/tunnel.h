// What the client's and the server's part of a loop have in common.
#pragma once

#include <memory>
#include <string>
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

/// The host to dial: none means this machine.
std::string dialled_host(const HostPort& address);
/// What a socket is opened with, by the profile.
UdpSocket::Options udp_options(const Profile& profile, std::uint32_t index);
/// Sets dscp on a new socket, and says in the log, once, if the kernel refuses it or grants less than sockbuf.
void set_up_socket(UdpSocket& socket, const Profile& profile);

}  // namespace kcptun
