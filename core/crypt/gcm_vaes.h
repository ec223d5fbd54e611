// The 512-bit kernel of AES-GCM. Use it through gcm.h.
#pragma once

#include <memory>

#include "core/crypt/gcm.h"

namespace kcptun {

/// REQUIRES: cpu_can(GcmPath::kVaes512), key.size() is 16 or 32.
std::unique_ptr<GcmCipher> make_vaes_gcm(Bytes key);

}  // namespace kcptun
