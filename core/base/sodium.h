// Initialises libsodium.
#pragma once

namespace kcptun {

/// Thread-safe, and cheap after the first call. Aborts if the library fails to start.
void prepare_sodium();

}  // namespace kcptun
