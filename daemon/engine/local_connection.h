// A local connection that has no stream yet, or no longer has one.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "daemon/engine/lingering_resets.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Just accepted, or reclaimed from a session that ended. A reclaimed connection carries the bytes that the
/// session read from it; the peer cannot have forwarded any of them.
struct LocalConnection {
  /// Maximum number of times that a stream restarts. Without the bound, a server that ends each session
  /// because its settings differ would be retried for ever.
  static constexpr std::uint8_t kMaxMoves = 3;

  LocalConnection(FileDescriptor accepted)
      : fd(std::move(accepted)) {}  // NOLINT(google-explicit-constructor)
  LocalConnection(LocalConnection&&) noexcept = default;
  LocalConnection& operator=(LocalConnection&&) noexcept = default;
  /// If no session took the connection, it is reset: the bytes read from it are lost.
  ~LocalConnection() {
    if (fd.valid() && moves > 0) set_reset_on_close(fd.get());
  }

  FileDescriptor fd;                 // non-blocking
  std::vector<std::uint8_t> unsent;  // bytes read from it; at most ReplayBuffer::kLimit
  std::uint8_t moves = 0;
};

}  // namespace kcptun
