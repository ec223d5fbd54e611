// A local connection that has no stream yet, or no longer has one.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "daemon/engine/forwarded_request.h"
#include "daemon/engine/lingering_resets.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Just accepted, or reclaimed from a session that ended. A reclaimed connection carries the bytes that the
/// session read from it; the peer cannot have forwarded any of them. A forward's connection begins with the
/// request for its target.
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
    if (fd.valid() && !unsent.empty()) set_reset_on_close(fd.get());
  }

  FileDescriptor fd;                          // non-blocking
  std::vector<std::uint8_t> unsent;           // the first of the stream; at most ReplayBuffer::kLimit
  std::unique_ptr<ForwardedRequest> request;  // of a forward: unsent begins with it; null: a plain stream
  std::uint8_t moves = 0;
};

}  // namespace kcptun
