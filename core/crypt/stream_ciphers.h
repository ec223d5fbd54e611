// Packet ciphers that are no block ciphers: salsa20, xor and none (docs/protocol.md section 3).
#pragma once

#include <memory>

#include "core/base/bytes.h"
#include "core/crypt/packet_cipher.h"

namespace kcptun {

/// The packet's first 8 bytes are the nonce and stay clear. REQUIRES: key.size() is 32.
std::unique_ptr<PacketCipher> make_salsa20(Bytes key);
/// A fixed table of 1500 bytes. REQUIRES: packets of at most kMaxDatagram bytes, of longer ones the rest
/// stays clear.
std::unique_ptr<PacketCipher> make_xor(Bytes key);
/// Leaves packets as they are: only the header's checksum remains.
std::unique_ptr<PacketCipher> make_none();

}  // namespace kcptun
