// What a tunnel's packets are protected with, derived from its profile.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "config/profile.h"
#include "core/base/result.h"
#include "core/crypt/suite.h"
#include "core/noise/credentials.h"

namespace kcptun {

class TunnelKeys {
 public:
  /// Takes 0.1 s and 64 MiB where the cipher's derivation is Argon2id. The error is a sentence.
  static Result<TunnelKeys> derive(const Profile& profile);

  /// One for each engine.
  std::unique_ptr<Suite> make_suite() const;

 private:
  TunnelKeys(Cipher cipher, MasterKey master) : cipher_(cipher), master_(std::move(master)) {}

  Cipher cipher_;
  MasterKey master_;
  std::optional<noise::Credentials> static_;  // where the profile has a private key
};

/// Erases the keys in the profile. The public ones stay.
void wipe_keys(Profile& profile);

}  // namespace kcptun
