// TEA and XTEA in CFB mode, sixteen blocks at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/bytes.h"
#include "core/crypt/packet_cipher.h"

namespace kcptun {

/// The same C++ code, compiled for vectors of increasing width.
enum class TeaPath : std::uint8_t { kPortable, kAvx2, kAvx512 };

bool cpu_can(TeaPath path);
TeaPath best_tea_path();

/// TEA with 8 cycles, half of the paper's number, as in kcp-go.
/// REQUIRES: key.size() is 16, and cpu_can(path).
std::unique_ptr<PacketCipher> make_tea_cfb(Bytes key, TeaPath path);
/// XTEA with 32 cycles, which its paper calls 64 rounds. REQUIRES: key.size() is 16, and cpu_can(path).
std::unique_ptr<PacketCipher> make_xtea_cfb(Bytes key, TeaPath path);

}  // namespace kcptun
