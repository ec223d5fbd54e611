// The hash functions of the Noise handshake: BLAKE2b (RFC 7693) with 64 bytes, HMAC (RFC 2104) and the
// framework's HKDF (Noise revision 34, section 4.3).
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string_view>

#include "core/base/bytes.h"
#include "core/noise/keys.h"

namespace kcptun::noise {

/// The hash of the parts, joined.
Hash hash(std::initializer_list<Bytes> parts);

/// HMAC with BLAKE2b, whose block has 128 bytes. REQUIRES: the key has at most 128 bytes.
Hash hmac(Bytes key, std::initializer_list<Bytes> parts);

/// A key for what `label` names: the first kKeySize bytes of hmac() of the label and `more`. REQUIRES: as for
/// hmac().
SecretKey derive_key(Bytes key, std::string_view label, Bytes more = {});

/// The framework's HKDF: `Count` outputs, 2 or 3, from a chaining key and input key material. The caller
/// wipes them.
template <std::size_t Count>
std::array<Hash, Count> hkdf(const Hash& chaining_key, Bytes input);

extern template std::array<Hash, 2> hkdf<2>(const Hash& chaining_key, Bytes input);
extern template std::array<Hash, 3> hkdf<3>(const Hash& chaining_key, Bytes input);

}  // namespace kcptun::noise
