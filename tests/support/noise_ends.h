// The suite noise for tests: seeded secrets, and ends with both patterns.
#pragma once

#include <cstdint>

#include "core/base/random.h"
#include "core/base/secret_source.h"
#include "core/noise/credentials.h"

namespace kcptun::test {

class SeededSecrets final : public SecretSource {
 public:
  explicit SeededSecrets(std::uint64_t seed) : random_(seed) {}
  void fill(MutableBytes bytes) override {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random_.next());
  }
  noise::SecretKey key() {
    noise::SecretKey out;
    fill(out.writable());
    return out;
  }

 private:
  Random random_;
};

struct NoiseCredentials {
  noise::Credentials client;
  noise::Credentials server;
};

/// Of the two ends of a tunnel whose shared key is `seed`.
inline NoiseCredentials noise_credentials(noise::Pattern pattern, std::uint64_t seed = 1) {
  SeededSecrets secrets(seed);
  const noise::SecretKey master = secrets.key();
  if (pattern == noise::Pattern::kNNpsk0)
    return {noise::Credentials::of_shared_key(master), noise::Credentials::of_shared_key(master)};
  const auto server = noise::KeyPair::of(secrets.key());
  return {noise::Credentials::of_client(master, noise::KeyPair::of(secrets.key()), server.public_key),
          noise::Credentials::of_server(master, server)};
}

}  // namespace kcptun::test
