// Packet ciphers that are hardly ciphers: xor and none (docs/protocol.md section 3).
#pragma once

#include <memory>

#include "core/base/bytes.h"
#include "core/crypt/packet_cipher.h"

namespace kcptun {

/// A fixed table of 1500 bytes. REQUIRES: packets of at most kMaxDatagram bytes, of longer ones the rest
/// stays clear.
std::unique_ptr<PacketCipher> make_xor(Bytes key);
/// Leaves packets as they are: only the header's checksum remains.
std::unique_ptr<PacketCipher> make_none();

}  // namespace kcptun
