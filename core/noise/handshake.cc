#include "core/noise/handshake.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/check.h"

namespace kcptun::noise {
namespace {

constexpr std::array kNNpsk0Client{Token::kPsk, Token::kE};
constexpr std::array kNNpsk0Server{Token::kE, Token::kEe};
constexpr std::array kIKpsk2Client{Token::kE, Token::kEs, Token::kS, Token::kSs};
constexpr std::array kIKpsk2Server{Token::kE, Token::kEe, Token::kSe, Token::kPsk};

struct PatternRow {
  std::string_view name;
  std::array<std::span<const Token>, 2> messages;
};

constexpr PatternRow kNNpsk0Row{"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b", {kNNpsk0Client, kNNpsk0Server}};
constexpr PatternRow kIKpsk2Row{"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b", {kIKpsk2Client, kIKpsk2Server}};

const PatternRow& row_of(Pattern pattern) { return pattern == Pattern::kNNpsk0 ? kNNpsk0Row : kIKpsk2Row; }

constexpr std::string_view kFirstFlightLabel = "kcptun-uv noise first flight";

MutableBytes take_front(MutableBytes& bytes, std::size_t size) {
  const MutableBytes front = bytes.first(size);
  bytes = bytes.subspan(size);
  return front;
}

PublicKey key_from(Bytes bytes) {
  PublicKey key;
  std::ranges::copy(bytes, key.begin());
  return key;
}

}  // namespace

Handshake::Handshake(Role role, Pattern pattern, Bytes prologue, const HandshakeKeys& keys)
    : role_(role), pattern_(pattern), keys_(keys), symmetric_(row_of(pattern).name) {
  symmetric_.mix_hash(prologue);
  if (pattern == Pattern::kNNpsk0) return;
  KCPTUN_CHECK(keys_.local_static.has_value());
  if (!is_client()) keys_.remote_static.reset();
  KCPTUN_CHECK(!is_client() || keys_.remote_static.has_value());
  symmetric_.mix_hash(is_client() ? *keys_.remote_static : keys_.local_static->public_key);
}

std::span<const Token> Handshake::tokens() const { return row_of(pattern_).messages[next_]; }

std::size_t Handshake::message_size(std::size_t payload) const {
  KCPTUN_CHECK(!finished());
  std::size_t size = payload + kTagSize;  // every payload of both patterns is sealed
  for (const Token token : tokens()) {
    if (token == Token::kE) size += kKeySize;
    if (token == Token::kS) size += kKeySize + kTagSize;
  }
  return size;
}

bool Handshake::write(Bytes payload, MutableBytes to) {
  KCPTUN_CHECK(!finished() && my_turn() && to.size() == message_size(payload.size()));
  for (const Token token : tokens())
    if (!write_token(token, to)) return false;
  std::ranges::copy(payload, to.begin());
  symmetric_.seal_and_hash(to);
  ++next_;
  return true;
}

std::optional<MutableBytes> Handshake::read(MutableBytes message) {
  KCPTUN_CHECK(!finished() && !my_turn());
  if (message.size() < message_size(0)) return std::nullopt;
  Handshake attempt = *this;
  for (const Token token : attempt.tokens())
    if (!attempt.read_token(token, message)) return std::nullopt;
  if (!attempt.symmetric_.open_and_hash(message)) return std::nullopt;
  keys_.remote_static = attempt.keys_.remote_static;
  remote_ephemeral_ = attempt.remote_ephemeral_;
  symmetric_ = attempt.symmetric_;
  ++next_;
  return message.first(message.size() - kTagSize);
}

bool Handshake::write_token(Token token, MutableBytes& to) {
  switch (token) {
    case Token::kE:
      std::ranges::copy(keys_.ephemeral.public_key, take_front(to, kKeySize).begin());
      mix_ephemeral(keys_.ephemeral.public_key);
      return true;
    case Token::kS: {
      const MutableBytes sealed = take_front(to, kKeySize + kTagSize);
      std::ranges::copy(keys_.local_static->public_key, sealed.begin());
      symmetric_.seal_and_hash(sealed);
      return true;
    }
    default:
      return mix_token(token);
  }
}

bool Handshake::read_token(Token token, MutableBytes& from) {
  switch (token) {
    case Token::kE:
      remote_ephemeral_ = key_from(take_front(from, kKeySize));
      mix_ephemeral(*remote_ephemeral_);
      return true;
    case Token::kS: {
      const MutableBytes sealed = take_front(from, kKeySize + kTagSize);
      if (!symmetric_.open_and_hash(sealed)) return false;
      keys_.remote_static = key_from(sealed.first(kKeySize));
      return true;
    }
    default:
      return mix_token(token);
  }
}

// In a handshake with a pre-shared key, ephemeral keys are mixed into the key too (section 9.2).
void Handshake::mix_ephemeral(const PublicKey& key) {
  symmetric_.mix_hash(key);
  symmetric_.mix_key(key);
}

// The first letter is the client's key, the second the server's.
bool Handshake::mix_token(Token token) {
  switch (token) {
    case Token::kPsk:
      symmetric_.mix_key_and_hash(keys_.psk.bytes());
      return true;
    case Token::kEe:
      return mix_agreement(keys_.ephemeral, remote_ephemeral_.value());
    case Token::kSs:
      return mix_agreement(keys_.local_static.value(), keys_.remote_static.value());
    case Token::kEs:
      return is_client() ? mix_agreement(keys_.ephemeral, keys_.remote_static.value())
                         : mix_agreement(keys_.local_static.value(), remote_ephemeral_.value());
    case Token::kSe:
      return is_client() ? mix_agreement(keys_.local_static.value(), remote_ephemeral_.value())
                         : mix_agreement(keys_.ephemeral, keys_.remote_static.value());
    case Token::kE:
    case Token::kS:
      break;
  }
  KCPTUN_CHECK(false);
  return false;
}

bool Handshake::mix_agreement(const KeyPair& ours, const PublicKey& theirs) {
  SecretKey shared;
  if (!agree(ours.secret, theirs, shared)) return false;
  symmetric_.mix_key(shared.bytes());
  return true;
}

SymmetricState::Split Handshake::split() const {
  KCPTUN_CHECK(finished());
  return symmetric_.split();
}

SecretKey Handshake::first_flight_key() const {
  KCPTUN_CHECK(next_ == 1);
  return symmetric_.derive(kFirstFlightLabel);
}

}  // namespace kcptun::noise
