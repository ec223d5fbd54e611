#include "daemon/worker/tunnel_sockets.h"

#include <errno.h>
#include <sodium.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/smux/capabilities.h"
#include "daemon/log/log.h"
#include "daemon/net/address.h"

namespace kcptun {

std::uint16_t random_port(const HostPort& server, Random& random) {
  return static_cast<std::uint16_t>(server.port_min + random.below(server.port_max - server.port_min + 1u));
}

SessionName new_session_name(Random& random) {
  std::uint64_t session = 0;
  randombytes_buf(&session, sizeof session);
  return {random.next32(), session};
}

Path path_from(const DatagramSocket& socket, const IpEndpoint& remote) {
  return {.remote = remote, .local = socket.local(), .socket = socket.index()};
}

// A newly connected socket shows the source address.
bool source_address_changed(const Path& path, const Profile& profile) {
  Result<UdpSocket> look = UdpSocket::connect(path.remote, udp_options(profile, path.socket));
  return look && look->local().ip != path.local.ip;
}

UdpSocket::Options udp_options(const Profile& profile, std::uint32_t index) {
  UdpSocket::Options options;
  options.index = index;
  options.buffer_bytes = static_cast<int>(profile.sockbuf);
  options.uplink = uplink_of(profile);
  options.gso = options.gro = profile.udp_offload == UdpOffload::kAuto;
  return options;
}

Uplink uplink_of(const Profile& profile) {
  Uplink uplink{std::nullopt, profile.interface, profile.fwmark};
  if (!profile.bind_address.empty()) uplink.address = parse_ip(profile.bind_address, 0);
  return uplink;
}

namespace {

bool may_have_flows(ForwardKind kind) {
  switch (kind) {
    case ForwardKind::kUdp:
    case ForwardKind::kTproxy:
    case ForwardKind::kSocks5:  // by UDP ASSOCIATE
    case ForwardKind::kHttp:    // where SOCKS5 works, too
      return true;
    case ForwardKind::kTcp:
    case ForwardKind::kUnix:
    case ForwardKind::kRedirect:
      break;
  }
  return false;
}

}  // namespace

LinkSettings link_settings(const Profile& profile) {
  LinkSettings settings = profile.link;
  settings.rate_limit = profile.ratelimit;
  if (profile.role == Role::kServer)
    settings.smux.capabilities |= kRequestStreams | kDatagramPackets | kServerStreams;
  if (!profile.forwards.empty()) settings.smux.capabilities |= kRequestStreams;
  if (!profile.reverses.empty()) settings.smux.capabilities |= kRequestStreams | kServerStreams;
  if (std::ranges::any_of(profile.forwards, may_have_flows, &Forward::kind))
    settings.smux.capabilities |= kDatagramPackets;
  return settings;
}

FlowSocket::Options flow_options(const Profile& profile) {
  return {.offload = profile.udp_offload == UdpOffload::kAuto};
}

FakeTcpSocket::Options fake_tcp_options(const Profile& profile, std::uint32_t index) {
  FakeTcpSocket::Options options;
  options.index = index;
  options.buffer_bytes = static_cast<int>(profile.sockbuf);
  return options;
}

Result<std::unique_ptr<Firewall>> open_tcp_mode() {
  const std::string needs =
      "tcp mode (--tcp) needs the capabilities CAP_NET_RAW and CAP_NET_ADMIN, as root has them: ";
  const int family = has_family(AF_INET) ? AF_INET : AF_INET6;
  if (const Result<RawTcpSocket> probe = RawTcpSocket::open(family, 0); !probe)
    return Error{needs + probe.error()};
  Result<std::unique_ptr<Firewall>> firewall = Firewall::open();
  if (!firewall) return Error{needs + firewall.error()};
  return firewall;
}

namespace {

void set_dscp(DatagramSocket& socket, const Profile& profile) {
  static std::atomic<bool> said{false};
  if (socket.set_dscp(profile.dscp) || said.exchange(true)) return;
  EventLog(profile.name)
      .warning("cannot set dscp", {{"value", profile.dscp}, {"error", std::strerror(errno)}});
}

void warn_of_clamped_buffers(const DatagramSocket& socket, const Profile& profile) {
  static std::atomic<bool> said{false};
  const int wanted = static_cast<int>(profile.sockbuf);
  if (socket.receive_buffer_bytes() >= wanted && socket.send_buffer_bytes() >= wanted) return;
  if (said.exchange(true)) return;
  const std::string bytes = std::to_string(wanted);
  EventLog(profile.name)
      .warning("socket buffers are clamped by the kernel; throughput may suffer",
               {{"wanted", wanted},
                {"receive", socket.receive_buffer_bytes()},
                {"send", socket.send_buffer_bytes()},
                {"remedy", "sysctl -w net.core.rmem_max=" + bytes + " net.core.wmem_max=" + bytes}});
}

}  // namespace

void configure_socket(DatagramSocket& socket, const Profile& profile) {
  set_dscp(socket, profile);  // a reclaimed socket may have another DSCP
  warn_of_clamped_buffers(socket, profile);
}

void reconfigure_socket(DatagramSocket& socket, const Profile& profile) {
  set_dscp(socket, profile);
  socket.set_buffers(static_cast<int>(profile.sockbuf));
  warn_of_clamped_buffers(socket, profile);
}

}  // namespace kcptun
