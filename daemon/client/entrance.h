// The entrance of a forward: from an accepted connection to a request for its target.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/profile.h"
#include "core/proxy/proxy_request.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/local_connection.h"
#include "daemon/io/listener.h"
#include "daemon/log/log.h"

namespace kcptun {

/// A literal as an address, which the server need not resolve, else a name. None: SOCKS5 cannot carry it.
std::optional<Socks5Address> destination_of(const std::string& host, std::uint16_t port);

/// Accepts from one listening socket. Where the forward or the firewall names the target, the connection is
/// passed on at once. Otherwise the application is asked: the entrance reads its request (SOCKS5; at an http
/// entrance also HTTP CONNECT) and passes the connection on with what follows it. The application then waits
/// for the server's reply.
///
/// Bounds: kMaxHandshakes applications may be about to ask, each for kHandshakeTimeout; each stores at most
/// RequestReader::kMaxHttpHead bytes.
class Entrance {
 public:
  static constexpr std::size_t kMaxHandshakes = 1024;
  static constexpr Duration kHandshakeTimeout = seconds(10);

  using OnConnection = std::function<void(LocalConnection)>;
  /// The application has asked for a UDP association and waits for the reply.
  using OnAssociation = std::function<void(FileDescriptor)>;
  /// `engine` and the tunnel's name outlive the entrance.
  Entrance(Engine& engine, const Forward& forward, FileDescriptor listening, OnConnection on_connection,
           OnAssociation on_association, std::string_view tunnel);
  ~Entrance();

 private:
  class Handshake;
  struct Asked {
    RequestCommand command = RequestCommand::kConnect;
    Socks5Address destination;
    std::optional<RequestProtocol> asked_by;
  };

  void accept(FileDescriptor fd);
  void accept_with(FileDescriptor fd, const std::optional<IpEndpoint>& destination);
  void shake_hands(FileDescriptor fd);
  void pass_on(FileDescriptor fd, const Asked& asked, Bytes early);
  void end(Handshake& handshake);
  EventLog log() const { return EventLog(tunnel_); }

  Engine& engine_;
  const Forward forward_;
  const std::string name_;  // listen_text() of the forward
  std::optional<Socks5Address> target_;
  OnConnection on_connection_;
  OnAssociation on_association_;
  std::string_view tunnel_;
  std::list<std::unique_ptr<Handshake>> handshakes_;
  Listener listener_;
};

}  // namespace kcptun
