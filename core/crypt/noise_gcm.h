// AES-256-GCM for the packets of the suite noise.
#pragma once

#include "core/noise/data_cipher.h"

namespace kcptun {

/// REQUIRES: key.size() is 32.
std::unique_ptr<noise::DataCipher> make_noise_gcm(Bytes key);

/// make_noise_gcm() where this CPU has instructions for AES, which make it faster than ChaCha20-Poly1305 and
/// free of tables that caches could reveal; else null.
noise::MakeDataCipher fast_noise_gcm();

}  // namespace kcptun
