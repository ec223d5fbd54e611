// Which of a server's loops has which conversation.
#pragma once

#include <cstdint>

namespace kcptun {

/// A client whose address has changed is delivered to whatever loop the kernel's hash says, which may not be
/// the one that has its conversation. The daemon implements this with a lock; it is asked when a conversation
/// begins, ends, or is heard of from an unknown address, and never otherwise.
class SessionDirectory {
 public:
  virtual ~SessionDirectory() = default;
  /// Gives `conv` to `loop` if nobody has it. Returns who has it now.
  virtual std::uint32_t claim(std::uint32_t conv, std::uint32_t loop) = 0;
  /// REQUIRES: `conv` was claimed, and its loop releases it.
  virtual void release(std::uint32_t conv) = 0;
};

}  // namespace kcptun
