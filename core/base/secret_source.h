// Random bytes for secrets.
#pragma once

#include "core/base/bytes.h"

namespace kcptun {

/// The owner of an engine implements it with the system's generator. A generator that can be computed
/// backwards from its state would undo the forward secrecy of the keys made with it.
class SecretSource {
 public:
  virtual ~SecretSource() = default;
  virtual void fill(MutableBytes bytes) = 0;
};

}  // namespace kcptun
