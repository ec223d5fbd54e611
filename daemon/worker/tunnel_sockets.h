// Settings of sessions and sockets, derived from a profile.
#pragma once

#include <cstdint>
#include <memory>

#include "config/profile.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/link/link.h"
#include "daemon/net/faketcp/firewall.h"
#include "daemon/net/faketcp/socket.h"
#include "daemon/net/flow_socket.h"
#include "daemon/net/udp_socket.h"

namespace kcptun {

/// The profile's settings of a session.
LinkSettings link_settings(const Profile& profile);
/// One of the server's ports, chosen at random from its range for each session.
std::uint16_t random_port(const HostPort& server, Random& random);
/// The names of a new session. The session's id comes from the system's generator, so that who holds the
/// shared key cannot predict it.
SessionName new_session_name(Random& random);
/// The path from a client's socket to `remote`.
Path path_from(const DatagramSocket& socket, const IpEndpoint& remote);
/// True if packets to the path's peer would now leave from another address. False without a route: the caller
/// is notified when one appears.
bool source_address_changed(const Path& path, const Profile& profile);
/// The profile's options for a new socket.
UdpSocket::Options udp_options(const Profile& profile, std::uint32_t index);
/// Through what the profile sends to its server.
Uplink uplink_of(const Profile& profile);
FlowSocket::Options flow_options(const Profile& profile);
FakeTcpSocket::Options fake_tcp_options(const Profile& profile, std::uint32_t index);
/// Sets DSCP on a new socket. Logs once if the kernel rejects it or grants smaller buffers than sockbuf.
void configure_socket(DatagramSocket& socket, const Profile& profile);
/// The same for a socket that another profile set up.
void reconfigure_socket(DatagramSocket& socket, const Profile& profile);
/// Opens the firewall that tcp mode needs, before any socket is opened. The error names the missing
/// privileges.
Result<std::unique_ptr<Firewall>> open_tcp_mode();

}  // namespace kcptun
