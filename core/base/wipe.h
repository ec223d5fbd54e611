// Erases secrets from memory.
#pragma once

#include <string.h>

#include <cstddef>
#include <string>

namespace kcptun {

/// Overwrites memory that is not read again. The compiler does not remove the writes.
inline void wipe(void* data, std::size_t size) { explicit_bzero(data, size); }

/// Overwrites the text and makes it empty.
inline void wipe(std::string& secret) {
  wipe(secret.data(), secret.size());
  secret.clear();
}

}  // namespace kcptun
