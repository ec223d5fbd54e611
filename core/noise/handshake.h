// The HandshakeState of the Noise framework (revision 34, section 5.3) for the two patterns of this protocol,
// with X25519, ChaCha20-Poly1305 and BLAKE2b (docs/develop/protocol.md section 15).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/settings.h"
#include "core/noise/keys.h"
#include "core/noise/symmetric_state.h"

namespace kcptun::noise {

enum class Pattern : std::uint8_t {
  kNNpsk0,  // both ends share a key: -> psk, e   <- e, ee
  kIKpsk2,  // the client has the server's public key too: -> e, es, s, ss   <- e, ee, se, psk
};

/// Tokens of a message pattern, in the framework's notation.
enum class Token : std::uint8_t { kE, kS, kEe, kEs, kSe, kSs, kPsk };

/// What a handshake begins with. `ephemeral` is made of fresh random bytes for this handshake only.
struct HandshakeKeys {
  SecretKey psk;
  KeyPair ephemeral;
  std::optional<KeyPair> local_static;     // REQUIRED by kIKpsk2
  std::optional<PublicKey> remote_static;  // the server's. REQUIRED by kIKpsk2 at the client
};

/// One end of one handshake: a message from the client, then one from the server. Deterministic: the caller
/// brings all randomness. A message that is wrong does not change the state, so the right one may follow it.
class Handshake {
 public:
  /// Both ends give the same `prologue`; it is not sent.
  Handshake(Role role, Pattern pattern, Bytes prologue, const HandshakeKeys& keys);

  /// Bytes of the next message with a payload of that size.
  std::size_t message_size(std::size_t payload) const;
  /// Writes the next message. False if a public key of the peer is worthless; then the handshake has failed.
  /// REQUIRES: it is this end's turn, and `to` has message_size(payload.size()) bytes.
  [[nodiscard]] bool write(Bytes payload, MutableBytes to);
  /// Reads the peer's next message, in place. None if it is not authentic; else the payload, inside
  /// `message`. REQUIRES: it is the peer's turn.
  [[nodiscard]] std::optional<MutableBytes> read(MutableBytes message);

  /// The client's pre-shared key, when its static key has told the server which. REQUIRES: kIKpsk2 at the
  /// server, before write().
  void set_psk(const SecretKey& psk) { keys_.psk = psk; }
  /// For a server that makes its ephemeral key once message 1 is known to be authentic. REQUIRES: before
  /// write().
  void set_ephemeral(const KeyPair& ephemeral) { keys_.ephemeral = ephemeral; }
  /// The peer's static public key, once it is known.
  const std::optional<PublicKey>& remote_static() const { return keys_.remote_static; }

  /// Both messages are over.
  bool finished() const { return next_ == kMessages; }
  /// REQUIRES: finished().
  SymmetricState::Split split() const;
  /// The key of the first flight. REQUIRES: only the first message is over.
  SecretKey first_flight_key() const;
  const Hash& handshake_hash() const { return symmetric_.handshake_hash(); }

 private:
  static constexpr std::size_t kMessages = 2;

  bool is_client() const { return role_ == Role::kClient; }
  bool my_turn() const { return (next_ == 0) == is_client(); }
  std::span<const Token> tokens() const;
  bool write_token(Token token, MutableBytes& to);
  bool read_token(Token token, MutableBytes& from);
  bool mix_token(Token token);
  void mix_ephemeral(const PublicKey& key);
  bool mix_agreement(const KeyPair& ours, const PublicKey& theirs);

  Role role_;
  Pattern pattern_;
  HandshakeKeys keys_;
  std::optional<PublicKey> remote_ephemeral_;
  SymmetricState symmetric_;
  std::size_t next_ = 0;  // the message that comes next
};

}  // namespace kcptun::noise
