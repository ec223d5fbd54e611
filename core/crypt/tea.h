// TEA and XTEA in CFB, sixteen blocks at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/bytes.h"
#include "core/crypt/packet_cipher.h"

namespace kcptun {

/// The same plain C++ compiled for wider and wider vectors.
enum class TeaPath : std::uint8_t { kPortable, kAvx2, kAvx512 };

bool cpu_can(TeaPath path);
TeaPath best_tea_path();

/// TEA with 8 cycles, half of the paper's count: kcp-go's choice. REQUIRES: key.size() is 16, and
/// cpu_can(path).
std::unique_ptr<PacketCipher> make_tea_cfb(Bytes key, TeaPath path);
/// XTEA with 32 cycles, which its paper calls 64 rounds. REQUIRES: key.size() is 16, and cpu_can(path).
std::unique_ptr<PacketCipher> make_xtea_cfb(Bytes key, TeaPath path);

}  // namespace kcptun
