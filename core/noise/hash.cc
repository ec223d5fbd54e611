#include "core/noise/hash.h"

#include <sodium.h>

#include <utility>

#include "core/base/check.h"
#include "core/base/sodium.h"
#include "core/base/wipe.h"

namespace kcptun::noise {
namespace {

static_assert(kHashSize == crypto_generichash_blake2b_BYTES_MAX);
constexpr std::size_t kBlockSize = 128;  // of BLAKE2b, bytes

class Hasher {
 public:
  Hasher() {
    prepare_sodium();
    KCPTUN_CHECK(crypto_generichash_blake2b_init(&state_, nullptr, 0, kHashSize) == 0);
  }
  ~Hasher() { wipe(&state_, sizeof state_); }
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void add(Bytes part) { crypto_generichash_blake2b_update(&state_, part.data(), part.size()); }
  Hash finish() {
    Hash out;
    crypto_generichash_blake2b_final(&state_, out.data(), out.size());
    return out;
  }

 private:
  crypto_generichash_blake2b_state state_;
};

using Block = std::array<std::uint8_t, kBlockSize>;

Block padded(Bytes key, std::uint8_t pad) {
  Block block;
  block.fill(pad);
  for (std::size_t i = 0; i < key.size(); ++i) block[i] ^= key[i];
  return block;
}

}  // namespace

Hash hash(std::initializer_list<Bytes> parts) {
  Hasher hasher;
  for (const Bytes part : parts) hasher.add(part);
  return hasher.finish();
}

Hash hmac(Bytes key, std::initializer_list<Bytes> parts) {
  KCPTUN_CHECK(key.size() <= kBlockSize);
  constexpr std::uint8_t kInnerPad = 0x36;
  constexpr std::uint8_t kOuterPad = 0x5c;
  Block block = padded(key, kInnerPad);
  Hasher inner;
  inner.add(block);
  for (const Bytes part : parts) inner.add(part);
  Hash digest = inner.finish();
  block = padded(key, kOuterPad);
  Hasher outer;
  outer.add(block);
  outer.add(digest);
  wipe(block.data(), block.size());
  wipe(digest.data(), digest.size());
  return outer.finish();
}

SecretKey derive_key(Bytes key, std::string_view label, Bytes more) {
  const Bytes text(reinterpret_cast<const std::uint8_t*>(label.data()), label.size());
  Hash out = hmac(key, {text, more});
  const SecretKey derived(std::span(std::as_const(out)).first<kKeySize>());
  wipe(out.data(), out.size());
  return derived;
}

template <std::size_t Count>
std::array<Hash, Count> hkdf(const Hash& chaining_key, Bytes input) {
  Hash extracted = hmac(chaining_key, {input});
  std::array<Hash, Count> out;
  Bytes previous;
  for (std::size_t i = 0; i < Count; ++i) {
    const auto number = static_cast<std::uint8_t>(i + 1);
    out[i] = hmac(extracted, {previous, Bytes(&number, 1)});
    previous = out[i];
  }
  wipe(extracted.data(), extracted.size());
  return out;
}

template std::array<Hash, 2> hkdf<2>(const Hash& chaining_key, Bytes input);
template std::array<Hash, 3> hkdf<3>(const Hash& chaining_key, Bytes input);

}  // namespace kcptun::noise
