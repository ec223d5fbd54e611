#include "core/crypt/aes_cfb.h"

#include <gcrypt.h>

#include "core/base/check.h"
#include "core/crypt/cpu.h"
#include "core/crypt/gcrypt_cfb.h"

namespace kcptun {
namespace {

int gcrypt_algorithm(std::size_t key_size) {
  switch (key_size) {
    case 16:
      return GCRY_CIPHER_AES128;
    case 24:
      return GCRY_CIPHER_AES192;
    case 32:
      return GCRY_CIPHER_AES256;
    default:
      KCPTUN_CHECK(false);
      return 0;
  }
}

}  // namespace

bool cpu_can(AesPath path) {
  switch (path) {
    case AesPath::kPortable:
      return true;
    case AesPath::kAesNi:
      return cpu_features().aes_ni;
    case AesPath::kVaes256:
      return cpu_features().aes_ni && cpu_features().vaes256;
    case AesPath::kVaes512:
      return cpu_features().aes_ni && cpu_features().vaes512;
  }
  return false;
}

AesPath best_aes_path() {
  if (cpu_can(AesPath::kVaes512)) return AesPath::kVaes512;
  if (cpu_can(AesPath::kVaes256)) return AesPath::kVaes256;
  if (cpu_can(AesPath::kAesNi)) return AesPath::kAesNi;
  return AesPath::kPortable;
}

std::unique_ptr<PacketCipher> make_aes_cfb(Bytes key, AesPath path) {
  KCPTUN_CHECK(cpu_can(path));
  switch (path) {
#if defined(__x86_64__)
    case AesPath::kVaes512:
      return make_aes_vaes512_cfb(key);
    case AesPath::kVaes256:
      return make_aes_vaes256_cfb(key);
    case AesPath::kAesNi:
      return make_aes_ni_cfb(key);
#endif
    default:
      return make_gcrypt_cfb(gcrypt_algorithm(key.size()), key);
  }
}

}  // namespace kcptun
