// Answers to datagrams that a firewall's TPROXY has caught: they come from where the application sent to
// (Linux).
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

#include "core/base/bytes.h"
#include "core/base/path.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Keeps a socket bound to each address that answers come from. Needs CAP_NET_RAW or CAP_NET_ADMIN for each
/// new one. Bounds: kMaxSockets; the one that was not used for longest makes room.
class TransparentReplies {
 public:
  static constexpr std::size_t kMaxSockets = 256;

  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t dropped = 0;  // that the kernel did not take
    std::uint64_t refused = 0;  // the kernel refused a socket with the address
  };

  /// False, with errno, if there is no socket with the address. Other failures are counted only.
  bool send(const IpEndpoint& from, const IpEndpoint& to, Bytes payload);
  const Counters& counters() const { return counters_; }
  std::size_t sockets() const { return sockets_.size(); }

 private:
  struct Socket {
    IpEndpoint address;
    FileDescriptor fd;
  };
  using Sockets = std::list<Socket>;

  int socket_of(const IpEndpoint& from);

  Sockets sockets_;  // the one used last comes first
  std::unordered_map<IpEndpoint, Sockets::iterator, IpEndpointHash> by_address_;
  Counters counters_;
};

/// A UDP socket bound to an address that need not be this machine's. Invalid, with errno, on failure.
FileDescriptor bind_transparent(const IpEndpoint& address);

}  // namespace kcptun
