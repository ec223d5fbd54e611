// The two ends of a handshake as a session uses them: a message from the client, and the server's answer.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/bytes.h"
#include "core/noise/cipher_state.h"
#include "core/noise/credentials.h"
#include "core/noise/handshake.h"

namespace kcptun::noise {

using Message2 = std::array<std::uint8_t, kMessage2Size>;

/// Message 1 as both ends keep it: the client to repeat it, the server to compare it.
class Message1 {
 public:
  /// REQUIRES: at most kMaxMessage1Size bytes.
  explicit Message1(Bytes bytes) : size_(bytes.size()) { std::ranges::copy(bytes, bytes_.begin()); }
  Bytes bytes() const { return Bytes(bytes_).first(size_); }
  bool operator==(const Message1& other) const { return std::ranges::equal(bytes(), other.bytes()); }

 private:
  std::array<std::uint8_t, kMaxMessage1Size> bytes_{};
  std::size_t size_;
};

/// A client's handshake that waits for its answer. Holds the ephemeral key, which is wiped with it.
class Initiation {
 public:
  /// None if the server's configured public key is worthless.
  static std::optional<Initiation> begin(const Credentials& credentials, std::uint64_t session,
                                         const SecretKey& ephemeral);

  Bytes message1() const { return message1_.bytes(); }
  const CipherState& flight_key() const { return flight_key_; }
  /// The keys of both directions if `message2` answers this handshake. Changes nothing.
  std::optional<SymmetricState::Split> complete(Bytes message2) const;

 private:
  Initiation(const Handshake& handshake, Bytes message1)
      : handshake_(handshake), message1_(message1), flight_key_(handshake.first_flight_key()) {}

  Handshake handshake_;
  Message1 message1_;
  CipherState flight_key_;
};

/// A server's handshake whose message 1 is authentic.
class Response {
 public:
  /// None unless `message1` is authentic. With NNpsk0 this costs hashes only, with IKpsk2 two key agreements.
  static std::optional<Response> begin(const Credentials& credentials, std::uint64_t session, Bytes message1);

  std::uint64_t session() const { return session_; }
  const Message1& message1() const { return message1_; }
  const CipherState& flight_key() const { return flight_key_; }
  /// The client's static key; with IKpsk2 only.
  const std::optional<PublicKey>& client() const { return handshake_.remote_static(); }

  struct Answer {
    Message2 message2;
    SymmetricState::Split keys;
  };
  /// None if the client's ephemeral key is worthless. Once: it ends the handshake.
  std::optional<Answer> answer(const SecretKey& ephemeral);

 private:
  Response(const Handshake& handshake, std::uint64_t session, Bytes message1)
      : handshake_(handshake),
        session_(session),
        message1_(message1),
        flight_key_(handshake.first_flight_key()) {}

  Handshake handshake_;
  std::uint64_t session_;
  Message1 message1_;
  CipherState flight_key_;
};

}  // namespace kcptun::noise
