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

}  // namespace

MasterKey::MasterKey(std::string_view key) {
  static constexpr std::string_view kSalt = "kcp-go";
  static constexpr unsigned long kIterations = 4096;
  prepare_gcrypt();
  // libgcrypt rejects a null pointer even if the password is empty.
  const char* password = key.empty() ? "" : key.data();
  KCPTUN_CHECK(gcry_kdf_derive(password, key.size(), GCRY_KDF_PBKDF2, GCRY_MD_SHA1, kSalt.data(),
                               kSalt.size(), kIterations, pass_.size(), pass_.data()) == 0);
}

Result<MasterKey> MasterKey::derive(std::string_view key, Cipher cipher) {
  if (suite_row(cipher).derivation == KeyDerivation::kPbkdf2) return MasterKey(key);
  const std::string_view salt = suite_row(cipher).argon_salt;
  KCPTUN_CHECK(salt.size() == crypto_pwhash_argon2id_SALTBYTES);
  prepare_sodium();
  MasterKey derived;
  // Keys are shorter than Argon2's limit of 4 GiB, so lack of memory is the only possible failure.
  if (crypto_pwhash_argon2id(derived.pass_.data(), derived.pass_.size(), key.empty() ? "" : key.data(),
                             key.size(), reinterpret_cast<const unsigned char*>(salt.data()), kArgonPasses,
                             kArgonMemory, crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
    return Error{"no memory to derive the key: Argon2id takes 64 MiB for a moment"};
  return derived;
}

MasterKey::~MasterKey() { sodium_memzero(pass_.data(), pass_.size()); }

}  // namespace kcptun
