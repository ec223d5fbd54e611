#include <sodium.h>

#include "core/base/check.h"
#include "core/crypt/libraries.h"
#include "core/crypt/suite.h"
#include "core/crypt/suite_table.h"

namespace kcptun {
namespace {

// Argon2id's cost, like the salts in the suite table, is part of the protocol: both ends must use the same.
constexpr unsigned long long kArgonPasses = 2;
constexpr std::size_t kArgonMemory = 64 * 1024 * 1024;

bool decode_raw(std::string_view digits, std::span<std::uint8_t, 32> to) {
  std::size_t size = 0;
  const char* end = nullptr;
  return sodium_base642bin(to.data(), to.size(), digits.data(), digits.size(), nullptr, &size, &end,
                           sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
         size == to.size() && end == digits.data() + digits.size();
}

}  // namespace

MasterKey::MasterKey(std::string_view key) {
  static constexpr std::string_view kSalt = "kcp-go";
  static constexpr unsigned long kIterations = 4096;
  prepare_gcrypt();
  // libgcrypt rejects a null pointer even if the password is empty.
  const char* password = key.empty() ? "" : key.data();
  KCPTUN_CHECK(gcry_kdf_derive(password, key.size(), GCRY_KDF_PBKDF2, GCRY_MD_SHA1, kSalt.data(),
                               kSalt.size(), kIterations, key_.size(), key_.data()) == 0);
}

Result<MasterKey> MasterKey::derive(std::string_view key, Cipher cipher) {
  if (suite_row(cipher).derivation == KeyDerivation::kPbkdf2) return MasterKey(key);
  const std::string_view salt = suite_row(cipher).argon_salt;
  KCPTUN_CHECK(salt.size() == crypto_pwhash_argon2id_SALTBYTES);
  prepare_sodium();
  MasterKey derived;
  if (key.starts_with(kRawKeyPrefix)) {
    std::array<std::uint8_t, 32> raw;
    const bool good = decode_raw(key.substr(kRawKeyPrefix.size()), raw);
    if (good)
      crypto_generichash(derived.key_.data(), derived.key_.size(),
                         reinterpret_cast<const unsigned char*>(salt.data()), salt.size(), raw.data(),
                         raw.size());
    sodium_memzero(raw.data(), raw.size());
    if (!good) return Error{"a key that begins with raw256: needs 43 digits of base64url behind it"};
    return derived;
  }
  // Keys are shorter than Argon2's limit of 4 GiB, so lack of memory is the only possible failure.
  if (crypto_pwhash_argon2id(derived.key_.data(), derived.key_.size(), key.empty() ? "" : key.data(),
                             key.size(), reinterpret_cast<const unsigned char*>(salt.data()), kArgonPasses,
                             kArgonMemory, crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
    return Error{"no memory to derive the key: Argon2id takes 64 MiB for a moment"};
  return derived;
}

std::size_t MasterKey::working_memory(std::string_view key, Cipher cipher) {
  const bool stretched =
      suite_row(cipher).derivation == KeyDerivation::kArgon2id && !key.starts_with(kRawKeyPrefix);
  return stretched ? kArgonMemory : 0;
}

MasterKey::~MasterKey() { sodium_memzero(key_.data(), key_.size()); }

}  // namespace kcptun
