// A connection of an application at this end that has no stream yet, or none any more.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "daemon/engine/lingering_resets.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Just accepted, or taken back from a session that is gone: then with what that session had taken from it, and none of
/// which its peer can have passed on.
struct LocalConnection {
  /// A stream begins anew so many times. A server that is there and ends each session, because its settings differ, would
  /// otherwise be asked for ever.
  static constexpr std::uint8_t kMaxMoves = 3;

  LocalConnection(FileDescriptor accepted) : fd(std::move(accepted)) {}  // NOLINT(google-explicit-constructor)
  LocalConnection(LocalConnection&&) noexcept = default;
  LocalConnection& operator=(LocalConnection&&) noexcept = default;
  /// One that no session takes ends with a reset: what was read from it is lost.
  ~LocalConnection() {
    if (fd.valid() && moves > 0) set_reset_on_close(fd.get());
  }

  FileDescriptor fd;                 // non-blocking
  std::vector<std::uint8_t> unsent;  // read from it; at most ReplayBuffer::kLimit
  std::uint8_t moves = 0;
};

}  // namespace kcptun
