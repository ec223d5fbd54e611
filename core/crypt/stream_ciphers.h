// The packet ciphers xor and none, which provide no confidentiality (docs/develop/protocol.md section 3).
#pragma once

#include <memory>

#include "core/base/bytes.h"
#include "core/crypt/packet_cipher.h"

namespace kcptun {

/// XOR with a fixed table of 1500 bytes.
/// REQUIRES: packets of at most kMaxDatagram bytes; later bytes stay unencrypted.
std::unique_ptr<PacketCipher> make_xor(Bytes key);
/// Leaves packets unchanged: only the header's checksum remains.
std::unique_ptr<PacketCipher> make_none();

}  // namespace kcptun
