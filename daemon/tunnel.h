// What the client's and the server's part of a loop have in common.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/profile.h"
#include "core/base/random.h"
#include "daemon/counters.h"
#include "daemon/loop/loop.h"
#include "daemon/net/disguised_socket.h"
#include "daemon/net/firewall.h"
#include "daemon/status/snapshot.h"

namespace kcptun {

/// The addresses of a tunnel's two ends, as far as they are known; empty for a unix path, and where the client has
/// several servers. A remote that is not known is looked for while the tunnel runs: no network, and a name that nobody
/// knows, must not stop it.
struct TunnelAddresses {
  std::vector<IpEndpoint> local;
  std::vector<IpEndpoint> remote;
};

/// One loop's share of the tunnel. Lives on its loop's thread, but for construction and destruction, and for what is
/// called while that thread stands still (LoopThreads::with_all_still).
class TunnelPart {
 public:
  virtual ~TunnelPart() = default;
  /// Sums of its sessions, past and present.
  virtual Counters counters() const = 0;
  /// Streams that are open now.
  virtual std::size_t streams() const = 0;
  /// The profile, which the part refers to, has changed in what may change while it runs: sessions that are open take
  /// over what they can. `remote`: the addresses of the profile's remote, if that changed.
  virtual void apply_profile(const std::vector<IpEndpoint>* remote) = 0;
  /// Its sessions as they are now, and what they have moved; without names and counters.
  virtual TunnelSnapshot share() const = 0;
  /// Ends all streams, telling the peer, and stops listening.
  virtual void shut_down() = 0;
};

/// What a conversation is set up with, by the profile.
LinkSettings link_settings(const Profile& profile);

/// An address as the user wrote it.
std::string to_text(const Address& address);
/// The client's servers with commas between, or the server's target.
std::string remote_text(const Profile& profile);
/// The host to dial: none means this machine.
std::string dialled_host(const HostPort& address);
/// One of the server's ports: where it has a range, each session takes its own chance.
std::uint16_t random_port(const HostPort& server, Random& random);
/// From a client's socket to `remote`.
Path path_from(const DatagramSocket& socket, const IpEndpoint& remote);
/// True if packets to the path's peer would leave from another address by now. Where there is no route there is nothing
/// to do: its coming will be announced.
bool leaves_from_elsewhere(const Path& path, const Profile& profile);
/// What a socket is opened with, by the profile.
UdpSocket::Options udp_options(const Profile& profile, std::uint32_t index);
DisguisedSocket::Options disguise_options(const Profile& profile, std::uint32_t index);
/// Sets dscp on a new socket, and says in the log, once, if the kernel refuses it or grants less than sockbuf.
void set_up_socket(DatagramSocket& socket, const Profile& profile);
/// The same for a socket that was set up by another profile.
void change_socket(DatagramSocket& socket, const Profile& profile);
/// What tcp mode needs of the system, found out before anything is opened: the firewall. The error names the privileges.
Result<std::unique_ptr<Firewall>> open_tcp_mode();

}  // namespace kcptun
