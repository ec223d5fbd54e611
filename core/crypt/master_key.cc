#include <sodium.h>

#include "core/base/check.h"
#include "core/crypt/libraries.h"
#include "core/crypt/suite.h"

namespace kcptun {

MasterKey::MasterKey(std::string_view key) {
  static constexpr std::string_view kSalt = "kcp-go";
  static constexpr unsigned long kIterations = 4096;
  prepare_gcrypt();
  // libgcrypt refuses a null pointer even when the password is empty.
  const char* password = key.empty() ? "" : key.data();
  KCPTUN_CHECK(gcry_kdf_derive(password, key.size(), GCRY_KDF_PBKDF2, GCRY_MD_SHA1, kSalt.data(),
                               kSalt.size(), kIterations, pass_.size(), pass_.data()) == 0);
}

MasterKey::~MasterKey() { sodium_memzero(pass_.data(), pass_.size()); }

}  // namespace kcptun
