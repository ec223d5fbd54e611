// The keys of a session's directions and their renewal (docs/develop/protocol.md section 15, "Renewal").
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/noise/cipher_state.h"
#include "core/noise/data_cipher.h"
#include "core/noise/keys.h"

namespace kcptun::noise {

/// How long a key serves, and the packets that it seals. Only the sender goes by them, so a change needs no
/// agreement. Larger values leave more of the past under one key.
inline constexpr Duration kRenewAfter = seconds(120);
inline constexpr std::uint64_t kRenewAfterPackets = std::uint64_t{1} << 32;
/// How far a packet's epoch may be beyond the receiver's, which happens if all packets of the epochs between
/// were lost. Each costs a step of Rekey for a packet that may be forged.
inline constexpr std::uint8_t kMaxEpochsAhead = 8;
/// How long the key before is kept for reordered packets.
inline constexpr Duration kKeepPreviousKey = seconds(10);

/// The key of one direction in one epoch. Seals with ChaCha20-Poly1305, or with AES-256-GCM if there is a
/// `make`.
class EpochKey {
 public:
  EpochKey(const CipherState& chain, MakeDataCipher make) : chain_(chain), make_(make) {}

  /// See CipherState.
  void seal(std::uint64_t counter, Bytes associated, MutableBytes message);
  [[nodiscard]] bool open(std::uint64_t counter, Bytes associated, MutableBytes message);
  /// The key becomes that of the next epoch.
  void rekey();
  const CipherState& chain() const { return chain_; }
  /// Frees what can be made again: the key schedule of AES takes some kilobytes.
  void trim() { aes_.reset(); }

 private:
  DataCipher& aes();

  CipherState chain_;
  MakeDataCipher make_;  // null: chain_ seals
  std::unique_ptr<DataCipher> aes_;
};

/// Seals what one end sends. Epochs are counted modulo 256.
class SendingKey {
 public:
  /// Another `renew_after` than the protocol's is for tests.
  SendingKey(const SecretKey& key, MakeDataCipher make, TimePoint now,
             std::uint64_t renew_after = kRenewAfterPackets)
      : key_(CipherState(key), make), since_(now), renew_after_(renew_after) {}

  /// The epoch of the next packet: renews the key first if it has served its time.
  std::uint8_t prepare(TimePoint now);
  /// Seals that packet: see CipherState::seal(). `counter` is never used again under this key.
  void seal(std::uint64_t counter, Bytes associated, MutableBytes message);
  void trim() { key_.trim(); }

 private:
  EpochKey key_;
  TimePoint since_;
  const std::uint64_t renew_after_;
  std::uint64_t sealed_ = 0;  // packets under key_
  std::uint8_t epoch_ = 0;
};

/// Opens what the other end sends. Holds two keys at most.
class ReceivingKeys {
 public:
  ReceivingKeys(const SecretKey& key, MakeDataCipher make) : make_(make), current_(CipherState(key), make) {}

  /// See CipherState::open(). Follows the sender to the packet's epoch if the tag is right.
  [[nodiscard]] bool open(TimePoint now, std::uint8_t epoch, std::uint64_t counter, Bytes associated,
                          MutableBytes message);
  /// When the key before is to be wiped.
  std::optional<TimePoint> next_timeout() const {
    return previous_ ? std::optional(wipe_previous_at_) : std::nullopt;
  }
  void handle_timeout(TimePoint now) {
    if (previous_ && now >= wipe_previous_at_) previous_.reset();
  }
  std::uint8_t epoch() const { return epoch_; }
  void trim() { current_.trim(); }

 private:
  MakeDataCipher make_;
  EpochKey current_;
  std::optional<EpochKey> previous_;
  TimePoint wipe_previous_at_{};
  std::uint8_t epoch_ = 0;  // of current_
};

}  // namespace kcptun::noise
