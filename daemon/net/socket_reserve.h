// UDP sockets with large buffers for a process that has dropped its privileges.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "daemon/net/uplink.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Buffers larger than net.core.rmem_max and wmem_max need CAP_NET_ADMIN, which the process drops after
/// start-up. A client dials sessions for its whole life, so it opens unconnected sockets beforehand and
/// reclaims those of closed sessions. Empty if the system grants such buffers to any process, or not even to
/// this one. Marks and interfaces need privileges, too: sockets that have a mark are kept whatever their
/// buffers. Bound: kMaxSockets.
class SocketReserve {
 public:
  static constexpr std::size_t kMaxSockets = 64;

  /// `bytes`: the size requested for each buffer. 0: the system's default, which needs no privilege.
  /// `uplink`: what the sockets are marked with.
  explicit SocketReserve(int bytes, Uplink uplink = {}) : bytes_(bytes), uplink_(std::move(uplink)) {}

  /// Opens up to `count` sockets of the family, while they get larger buffers than an unprivileged process
  /// would.
  void fill(int family, std::size_t count);
  /// An unbound socket of the family; invalid if there is none.
  FileDescriptor take(int family);
  /// Reclaims the socket of a closed session if its buffers exceed the unprivileged limit. Duplicates `fd`,
  /// unbinds the duplicate and keeps it; the caller closes `fd`.
  void reclaim(int fd);
  std::size_t size() const { return sockets_.size(); }

 private:
  bool exceeds_unprivileged_limit(int fd) const;

  int bytes_;
  Uplink uplink_;
  std::vector<std::pair<int, FileDescriptor>> sockets_;  // family and socket
};

}  // namespace kcptun
