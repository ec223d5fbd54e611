// The server's side of fake TCP on one loop: accepts the idle connections of one address and its ports, and
// carries the datagrams of all of them. Several loops share the ports by the client's port, so that a
// connection and all its segments stay on one loop.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "daemon/net/faketcp/socket.h"

namespace kcptun {

class FakeTcpServer final : public FakeTcpSocket {
 public:
  /// The number of this loop among those that listen. The loops must begin to listen in ascending order.
  struct Share {
    std::uint32_t number = 0;
    std::uint32_t of = 1;
  };

  /// Listens on these ports of the address. The caller installs the firewall rules. The error names the
  /// address.
  /// REQUIRES: at least one port, in ascending order.
  static Result<std::unique_ptr<FakeTcpServer>> listen(IpEndpoint address,
                                                       std::span<const std::uint16_t> ports, Share share,
                                                       const Options& options);
  static Result<std::unique_ptr<FakeTcpServer>> listen(const IpEndpoint& address, Share share,
                                                       const Options& options) {
    return listen(address, {&address.port, 1}, share, options);
  }

  const IpEndpoint& local() const override { return local_; }

 private:
  FakeTcpServer(const IpEndpoint& address, Share share, const Options& options)
      : FakeTcpSocket(options), local_(address), share_(share) {}

  void handle_ready(int fd) override;
  FakeTcpConnection* connection_for(const Path& path, std::span<const Packet>) override {
    return find(path.remote, path.local);
  }
  Result<bool> open_raw_sockets(int family);
  Result<bool> open_listener(std::uint16_t port, int family);

  IpEndpoint local_;
  const Share share_;
  std::vector<FileDescriptor> listeners_;
};

}  // namespace kcptun
