#include "core/noise/keys.h"

#include <sodium.h>

#include "core/base/check.h"
#include "core/base/sodium.h"

namespace kcptun::noise {

static_assert(kKeySize == crypto_scalarmult_curve25519_BYTES);
static_assert(kKeySize == crypto_scalarmult_curve25519_SCALARBYTES);

KeyPair KeyPair::of(const SecretKey& secret) {
  prepare_sodium();
  KeyPair pair{secret, {}};
  KCPTUN_CHECK(crypto_scalarmult_curve25519_base(pair.public_key.data(), secret.data()) == 0);
  return pair;
}

bool agree(const SecretKey& secret, const PublicKey& peer, SecretKey& shared) {
  prepare_sodium();
  if (crypto_scalarmult_curve25519(shared.writable().data(), secret.data(), peer.data()) == 0) return true;
  shared.clear();
  return false;
}

}  // namespace kcptun::noise
