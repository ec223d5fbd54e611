// The client's side of fake TCP: one connection to the server. As with UDP, the sender does not depend on an
// answer: if connecting failed or the connection ended, the next datagram starts a new one.
#pragma once

#include <memory>
#include <vector>

#include "daemon/net/faketcp/socket.h"

namespace kcptun {

class FakeTcpClient final : public FakeTcpSocket {
 public:
  /// Datagrams queued during the handshake; later ones are dropped.
  static constexpr std::size_t kMaxHeld = 32;
  /// Minimum time between two connection attempts.
  static constexpr int kRetryMs = 250;

  /// Starts to connect to `remote`. `firewall` outlives the socket. The error gives the kernel's reason, such
  /// as no route to `remote`.
  static Result<std::unique_ptr<FakeTcpClient>> connect(const IpEndpoint& remote, const Options& options,
                                                        Firewall& firewall);

  /// Of the connection or of the connection attempt.
  const IpEndpoint& local() const override { return local_; }

 private:
  FakeTcpClient(const IpEndpoint& remote, const Options& options, Firewall& firewall)
      : FakeTcpSocket(options), remote_(remote), firewall_(firewall) {}

  void handle_ready(int fd) override;
  FakeTcpConnection* connection_for(const Path& path, std::span<const Packet> lost) override;
  bool start_connect();
  void finish(FileDescriptor established);
  void queue_packets(std::span<const Packet> packets);
  void send_held();

  const IpEndpoint remote_;
  Firewall& firewall_;
  IpEndpoint local_;
  FileDescriptor connecting_;
  std::int64_t started_ms_ = 0;
  std::vector<std::vector<std::uint8_t>> held_;
};

}  // namespace kcptun
