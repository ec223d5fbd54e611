// What a profile says about sessions and their sockets.
#pragma once

#include <cstdint>
#include <memory>

#include "config/profile.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/link/link.h"
#include "daemon/net/faketcp/firewall.h"
#include "daemon/net/faketcp/socket.h"
#include "daemon/net/udp_socket.h"

namespace kcptun {

/// What a conversation is set up with, by the profile.
LinkSettings link_settings(const Profile& profile);
/// One of the server's ports: where it has a range, each session takes its own chance.
std::uint16_t random_port(const HostPort& server, Random& random);
/// From a client's socket to `remote`.
Path path_from(const DatagramSocket& socket, const IpEndpoint& remote);
/// True if packets to the path's peer would leave from another address by now. Where there is no route there is nothing
/// to do: its coming will be announced.
bool leaves_from_elsewhere(const Path& path, const Profile& profile);
/// What a socket is opened with, by the profile.
UdpSocket::Options udp_options(const Profile& profile, std::uint32_t index);
FakeTcpSocket::Options fake_tcp_options(const Profile& profile, std::uint32_t index);
/// Sets dscp on a new socket, and says in the log, once, if the kernel refuses it or grants less than sockbuf.
void set_up_socket(DatagramSocket& socket, const Profile& profile);
/// The same for a socket that was set up by another profile.
void change_socket(DatagramSocket& socket, const Profile& profile);
/// What tcp mode needs of the system, found out before anything is opened: the firewall. The error names the privileges.
Result<std::unique_ptr<Firewall>> open_tcp_mode();

}  // namespace kcptun
