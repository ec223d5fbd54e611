// What one end of the suite noise is configured with (docs/develop/protocol.md section 15).
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/settings.h"
#include "core/noise/data_cipher.h"
#include "core/noise/handshake.h"
#include "core/noise/keys.h"
#include "core/noise/packet.h"

namespace kcptun::noise {

struct Credentials {
  /// Both ends have the shared key only: NNpsk0.
  static Credentials of_shared_key(const SecretKey& master) {
    return {SharedKeys(master, nullptr), Pattern::kNNpsk0, std::nullopt, std::nullopt};
  }
  /// IKpsk2.
  static Credentials of_server(const SecretKey& master, const KeyPair& own) {
    return {SharedKeys(master, &own.public_key), Pattern::kIKpsk2, own, std::nullopt};
  }
  static Credentials of_client(const SecretKey& master, const KeyPair& own, const PublicKey& server) {
    return {SharedKeys(master, &server), Pattern::kIKpsk2, own, server};
  }

  SharedKeys shared;
  Pattern pattern = Pattern::kNNpsk0;
  std::optional<KeyPair> local_static;     // IKpsk2 only
  std::optional<PublicKey> remote_static;  // the server's; IKpsk2 at the client only
  MakeDataCipher aes_gcm = nullptr;        // null: this end does not offer or choose AES-256-GCM
};

/// The handshake of a session, of which the name is in the prologue.
Handshake make_handshake(Role role, const Credentials& credentials, std::uint64_t session,
                         const KeyPair& ephemeral);

}  // namespace kcptun::noise
