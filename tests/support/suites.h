// Suites and master keys for tests. The same seed gives the same nonces.
#pragma once

#include <array>
#include <memory>
#include <stdexcept>
#include <string_view>

#include "core/base/random.h"
#include "core/crypt/suite.h"

namespace kcptun::test {

inline Cipher cipher_named(std::string_view name) {
  for (const CipherName& row : kCipherNames)
    if (row.name == name) return row.cipher;
  throw std::runtime_error("no such cipher");
}

inline std::unique_ptr<Suite> make_suite(Cipher cipher, const MasterKey& key, std::uint64_t seed) {
  std::array<std::uint8_t, 32> nonce_seed{};
  Random random(seed);
  for (std::uint8_t& byte : nonce_seed) byte = static_cast<std::uint8_t>(random.next());
  return Suite::make(cipher, key, nonce_seed);
}

}  // namespace kcptun::test
