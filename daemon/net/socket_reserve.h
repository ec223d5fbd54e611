// UDP sockets with large buffers, for a process that may not have them any more.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Buffers beyond net.core.rmem_max and wmem_max need a privilege that is gone once the process runs. A client dials
/// sessions all its life, so it opens sockets before, unconnected, and takes back those of sessions that are gone.
/// Empty where the system grants such buffers to everybody, or not even to this process. Bound: kMaxSockets.
class SocketReserve {
 public:
  static constexpr std::size_t kMaxSockets = 64;

  /// `bytes`: what is asked of each buffer; 0: the system's default, which needs no privilege.
  explicit SocketReserve(int bytes) : bytes_(bytes) {}

  /// Opens up to `count` sockets of the family, as long as they get larger buffers than they would later.
  void fill(int family, std::size_t count);
  /// One of the family, on no port; invalid if there is none.
  FileDescriptor take(int family);
  /// The socket of a session that is gone, which its owner closes: it is kept, on no port, if its buffers are such.
  void take_back(int fd);
  std::size_t size() const { return sockets_.size(); }

 private:
  bool precious(int fd) const;

  int bytes_;
  std::vector<std::pair<int, FileDescriptor>> sockets_;  // by family
};

}  // namespace kcptun
