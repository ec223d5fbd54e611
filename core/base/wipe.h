// Secrets that must not stay in memory.
#pragma once

#include <string.h>

#include <cstddef>
#include <string>

namespace kcptun {

/// Overwrites memory that is not read again; the compiler keeps the writes.
inline void wipe(void* data, std::size_t size) { explicit_bzero(data, size); }

/// Overwrites the text and empties it.
inline void wipe(std::string& secret) {
  wipe(secret.data(), secret.size());
  secret.clear();
}

}  // namespace kcptun
