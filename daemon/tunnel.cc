#include "daemon/tunnel.h"

#include <errno.h>

#include <atomic>
#include <cstring>

#include "daemon/log.h"

namespace kcptun {

std::string dialled_host(const HostPort& address) { return address.host.empty() ? "localhost" : address.host; }

UdpSocket::Options udp_options(const Profile& profile, std::uint32_t index) {
  UdpSocket::Options options;
  options.index = index;
  options.buffer_bytes = static_cast<int>(profile.sockbuf);
  return options;
}

namespace {

void set_dscp(UdpSocket& socket, const Profile& profile) {
  static std::atomic<bool> said{false};
  if (profile.dscp == 0 || socket.set_dscp(profile.dscp) || said.exchange(true)) return;
  spdlog::warn("the kernel refuses dscp {}: {}", profile.dscp, std::strerror(errno));
}

void warn_of_clamped_buffers(const UdpSocket& socket, const Profile& profile) {
  static std::atomic<bool> said{false};
  const int wanted = static_cast<int>(profile.sockbuf);
  if (socket.receive_buffer_bytes() >= wanted && socket.send_buffer_bytes() >= wanted) return;
  if (said.exchange(true)) return;
  spdlog::warn(
      "the kernel clamps socket buffers to {} (receive) and {} (send) of {} bytes, which costs speed; to raise them: "
      "sysctl -w net.core.rmem_max={} net.core.wmem_max={}",
      socket.receive_buffer_bytes(), socket.send_buffer_bytes(), wanted, wanted, wanted);
}

}  // namespace

void set_up_socket(UdpSocket& socket, const Profile& profile) {
  set_dscp(socket, profile);
  warn_of_clamped_buffers(socket, profile);
}

}  // namespace kcptun
