// CRC-32C (Castagnoli), as the Snappy framing format uses it.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"

namespace kcptun {

/// The usual CRC-32C: initial value and final XOR 0xffffffff.
std::uint32_t crc32c(Bytes bytes);

}  // namespace kcptun
