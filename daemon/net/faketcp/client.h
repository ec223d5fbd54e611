// The client's side of the disguise: one connection to the server. As with UDP, whoever sends need not know
// whether anybody answers: a connection that cannot be had, or that ended, is begun anew when there is
// something to send.
#pragma once

#include <memory>
#include <vector>

#include "daemon/net/faketcp/socket.h"

namespace kcptun {

class FakeTcpClient final : public FakeTcpSocket {
 public:
  /// Datagrams that wait for the handshake; later ones are lost.
  static constexpr std::size_t kMaxHeld = 32;
  /// The least time between two attempts at a connection.
  static constexpr int kRetryMs = 250;

  /// Begins a connection to `remote`. `firewall` outlives the socket. The error says what the kernel refused,
  /// or that there is no way to `remote`.
  static Result<std::unique_ptr<FakeTcpClient>> connect(const IpEndpoint& remote, const Options& options,
                                                          Firewall& firewall);

  /// Of the connection, or of the attempt at one.
  const IpEndpoint& local() const override { return local_; }

 private:
  FakeTcpClient(const IpEndpoint& remote, const Options& options, Firewall& firewall)
      : FakeTcpSocket(options), remote_(remote), firewall_(firewall) {}

  void handle_ready(int fd) override;
  FakeTcpConnection* connection_for(const Path& path, std::span<const Packet> lost) override;
  bool begin();
  void finish(FileDescriptor established);
  void hold(std::span<const Packet> packets);
  void send_held();

  const IpEndpoint remote_;
  Firewall& firewall_;
  IpEndpoint local_;
  FileDescriptor connecting_;
  std::int64_t begun_ms_ = 0;
  std::vector<std::vector<std::uint8_t>> held_;
};

}  // namespace kcptun
