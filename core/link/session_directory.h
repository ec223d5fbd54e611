// Which worker of a server has which session.
#pragma once

#include <cstdint>

namespace kcptun {

/// When a client's address has changed, the kernel's hash may deliver its packets to a worker that does not
/// have its session. The daemon implements this interface with a lock, so it is called only when a session
/// begins, ends, or is named by a packet from an unknown address.
class SessionDirectory {
 public:
  virtual ~SessionDirectory() = default;
  /// Gives `conv` to `worker` if no worker has it. Returns the worker that has it now.
  virtual std::uint32_t claim(std::uint32_t conv, std::uint32_t worker) = 0;
  /// REQUIRES: `conv` was claimed, and its worker releases it.
  virtual void release(std::uint32_t conv) = 0;
};

}  // namespace kcptun
