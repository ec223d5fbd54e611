#include "core/noise/symmetric_state.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/noise/hash.h"

namespace kcptun::noise {
namespace {

SecretKey truncated(const Hash& digest) { return SecretKey(std::span(digest).first<kKeySize>()); }

template <std::size_t Count>
void wipe_all(std::array<Hash, Count>& hashes) {
  for (Hash& secret : hashes) wipe(secret.data(), secret.size());
}

}  // namespace

SymmetricState::SymmetricState(std::string_view protocol_name) : hash_{} {
  KCPTUN_CHECK(protocol_name.size() <= kHashSize);
  std::ranges::copy(protocol_name, hash_.begin());
  chaining_key_ = hash_;
}

void SymmetricState::set_key(const Hash& key) {
  cipher_.emplace(truncated(key));
  next_ = 0;
}

void SymmetricState::mix_key(Bytes input) {
  auto out = hkdf<2>(chaining_key_, input);
  chaining_key_ = out[0];
  set_key(out[1]);
  wipe_all(out);
}

void SymmetricState::mix_hash(Bytes data) { hash_ = hash({hash_, data}); }

void SymmetricState::mix_key_and_hash(Bytes input) {
  auto out = hkdf<3>(chaining_key_, input);
  chaining_key_ = out[0];
  mix_hash(out[1]);
  set_key(out[2]);
  wipe_all(out);
}

void SymmetricState::seal_and_hash(MutableBytes message) {
  if (cipher_) cipher_->seal(next_++, hash_, message);
  mix_hash(message);
}

bool SymmetricState::open_and_hash(MutableBytes message) {
  const Hash associated = hash_;
  mix_hash(message);  // of the ciphertext, which opening overwrites
  return !cipher_ || cipher_->open(next_++, associated, message);
}

SecretKey SymmetricState::derive(std::string_view label) const {
  return derive_key(chaining_key_, label, hash_);
}

SymmetricState::Split SymmetricState::split() const {
  auto out = hkdf<2>(chaining_key_, {});
  const Split keys{truncated(out[0]), truncated(out[1])};
  wipe_all(out);
  return keys;
}

}  // namespace kcptun::noise
