#include "daemon/net/faketcp/client.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"

namespace kcptun {
namespace {

std::int64_t now_ms() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

int family_of(const IpEndpoint& address) { return is_ipv4(address) ? AF_INET : AF_INET6; }

}  // namespace

Result<std::unique_ptr<FakeTcpClient>> FakeTcpClient::connect(const IpEndpoint& remote,
                                                              const Options& options, Firewall& firewall) {
  std::unique_ptr<FakeTcpClient> client(new FakeTcpClient(remote, options, firewall));
  if (Result<bool> opened = client->open_raw(family_of(remote)); !opened) return Error{opened.error()};
  if (!client->start_connect()) return system_error("cannot connect to TCP " + to_string(remote));
  return client;
}

// False, with errno: failed immediately.
bool FakeTcpClient::start_connect() {
  started_ms_ = now_ms();
  const SocketAddress name = to_sockaddr(remote_);
  FileDescriptor fd(::socket(family_of(remote_), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid() || !hide_data_from_kernel(fd.get())) return false;
  if (::connect(fd.get(), name.get(), name.size) != 0 && errno != EINPROGRESS) return false;
  sockaddr_storage own;
  socklen_t size = sizeof own;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) return false;
  local_ = from_sockaddr(reinterpret_cast<const sockaddr*>(&own), size).value_or(IpEndpoint{});
  if (!filter_raw({local_.port, local_.port, 0, 1}) || !watch(fd.get(), EPOLLOUT)) return false;
  connecting_ = std::move(fd);
  return true;
}

void FakeTcpClient::handle_ready(int fd) {
  if (fd != connecting_.get()) return;
  FileDescriptor done = std::exchange(connecting_, FileDescriptor());
  const int error = get_option(done.get(), SOL_SOCKET, SO_ERROR);
  if (error == 0) finish(std::move(done));
  if (newest()) return send_held();
  counters_.connection_refused += error == ECONNREFUSED;
  ++counters_.pending_errors;  // rejected or unreachable: the next datagram starts a new connection
  counters_.datagrams_dropped += std::exchange(held_, {}).size();
}

// The rule is in place before the first segment that it must drop.
void FakeTcpClient::finish(FileDescriptor established) {
  Result<FirewallRule> rule = firewall_.suppress_kernel_segments(local_, remote_);
  if (!rule) return;
  auto connection = make_fake_tcp_connection(std::move(established));
  if (!connection) return;
  connection->rule = std::move(*rule);
  local_ = connection->local;
  add(std::move(*connection));
}

FakeTcpConnection* FakeTcpClient::connection_for(const Path&, std::span<const Packet> lost) {
  if (FakeTcpConnection* connection = newest()) return connection;
  if (!connecting_.valid() && now_ms() - started_ms_ >= kRetryMs) start_connect();
  if (connecting_.valid()) queue_packets(lost);
  return nullptr;
}

void FakeTcpClient::queue_packets(std::span<const Packet> packets) {
  for (const Packet& packet : packets.first(std::min(packets.size(), kMaxHeld - held_.size())))
    held_.emplace_back(packet.data, packet.data + packet.size);
}

void FakeTcpClient::send_held() {
  auto held = std::exchange(held_, {});
  std::vector<Packet> packets;
  for (auto& bytes : held) packets.push_back({bytes.data(), static_cast<std::uint32_t>(bytes.size())});
  if (!packets.empty()) send_now(*newest(), packets);
}

}  // namespace kcptun
