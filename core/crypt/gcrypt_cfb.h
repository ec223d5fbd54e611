// CFB with any block cipher of libgcrypt: the portable implementation of all block ciphers except TEA and
// XTEA.
#pragma once

#include <memory>

#include "core/base/bytes.h"
#include "core/crypt/packet_cipher.h"

namespace kcptun {

/// `algorithm` is a GCRY_CIPHER_* value with blocks of 8 or 16 bytes. The key is set once.
std::unique_ptr<PacketCipher> make_gcrypt_cfb(int algorithm, Bytes key);

}  // namespace kcptun
