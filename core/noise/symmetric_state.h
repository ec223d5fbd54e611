// The SymmetricState of the Noise framework (revision 34, section 5.2): the chaining key, the hash of all
// that both ends have seen, and the key for the next payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/bytes.h"
#include "core/noise/cipher_state.h"
#include "core/noise/keys.h"

namespace kcptun::noise {

/// Copyable, so that a message can be read on a copy that a forged one spoils. Wiped on destruction.
class SymmetricState {
 public:
  /// REQUIRES: the name has at most kHashSize characters.
  explicit SymmetricState(std::string_view protocol_name);
  SymmetricState(const SymmetricState&) = default;
  SymmetricState& operator=(const SymmetricState&) = default;
  ~SymmetricState() { wipe(chaining_key_.data(), chaining_key_.size()); }

  void mix_key(Bytes input);
  void mix_hash(Bytes data);
  void mix_key_and_hash(Bytes input);

  /// What a payload grows by when it is sealed now.
  std::size_t overhead() const { return cipher_ ? kTagSize : 0; }
  /// Seals the payload, which stands in front of overhead() free bytes, and mixes the result.
  void seal_and_hash(MutableBytes message);
  /// Opens in place. False if the message was changed, or belongs to another handshake.
  [[nodiscard]] bool open_and_hash(MutableBytes message);

  /// A key for another purpose, of what was mixed so far. Independent of all keys of the handshake: `label`
  /// and the hash make another HMAC input than any that the framework makes, all of which are shorter.
  SecretKey derive(std::string_view label) const;

  struct Split {
    SecretKey initiator;  // for what the initiator sends
    SecretKey responder;
  };
  Split split() const;
  const Hash& handshake_hash() const { return hash_; }

 private:
  void set_key(const Hash& key);

  Hash chaining_key_;
  Hash hash_;
  std::optional<CipherState> cipher_;
  std::uint64_t next_ = 0;  // number of the cipher's next message
};

}  // namespace kcptun::noise
