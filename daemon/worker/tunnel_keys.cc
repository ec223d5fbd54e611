#include "daemon/worker/tunnel_keys.h"

#include <sodium.h>

#include <array>

#include "core/base/wipe.h"

namespace kcptun {
namespace {

// A server's, or a client's. None if the client's server-key is of small order, with which X25519 agrees on
// zero.
std::optional<noise::Credentials> static_credentials(const Profile& profile, const MasterKey& master) {
  const noise::SecretKey shared(master.bytes());
  const auto own = noise::KeyPair::of(noise::SecretKey(*profile.private_key));
  if (profile.role == Role::kServer) return noise::Credentials::of_server(shared, own);
  noise::SecretKey agreed;
  if (!noise::agree(own.secret, *profile.server_key, agreed)) return std::nullopt;
  return noise::Credentials::of_client(shared, own, *profile.server_key);
}

}  // namespace

Result<TunnelKeys> TunnelKeys::derive(const Profile& profile) {
  Result<MasterKey> master = MasterKey::derive(profile.key, profile.crypt);
  if (!master) return Error{master.error()};
  TunnelKeys keys(profile.crypt, std::move(*master));
  if (!profile.private_key) return keys;
  keys.static_ = static_credentials(profile, keys.master_);
  if (!keys.static_) return Error{"server-key is no public key of a server: copy what its --pubkey prints"};
  return keys;
}

void wipe_keys(Profile& profile) {
  wipe(profile.key);
  if (profile.private_key) wipe(profile.private_key->data(), profile.private_key->size());
}

std::unique_ptr<Suite> TunnelKeys::make_suite() const {
  if (static_) return Suite::make_noise(*static_);
  std::array<std::uint8_t, 32> seed;
  randombytes_buf(seed.data(), seed.size());
  auto suite = Suite::make(cipher_, master_, seed);
  sodium_memzero(seed.data(), seed.size());
  return suite;
}

}  // namespace kcptun
