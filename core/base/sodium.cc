#include "core/base/sodium.h"

#include <sodium.h>

#include "core/base/check.h"

namespace kcptun {

void prepare_sodium() {
  static const bool started = sodium_init() >= 0;
  KCPTUN_CHECK(started);
}

}  // namespace kcptun
