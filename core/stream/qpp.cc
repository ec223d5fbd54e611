#include "core/stream/qpp.h"

#include <gcrypt.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/check.h"
#include "core/base/wipe.h"
#include "core/crypt/libraries.h"

namespace kcptun {

namespace {

using Block32 = std::array<std::uint8_t, 32>;

// Constants of the protocol.
constexpr std::string_view kDeriveSalt = "___QUANTUM_PERMUTATION_PAD_SEED_DERIVE___";
constexpr std::string_view kShuffleSalt = "___QUANTUM_PERMUTATION_PAD_SHUFFLE_SALT___";
constexpr std::string_view kPrngSalt = "___QUANTUM_PERMUTATION_PAD_PRNG_SALT___";
constexpr std::string_view kSelector = "PERMUTATION_MATRIX_SELECTOR";
constexpr unsigned kIterations = 128;
constexpr unsigned kChunkIterations = 1024;
constexpr std::size_t kCiphers = 7;
// Pads shuffled in parallel, so that one call of the cipher has many blocks.
constexpr std::size_t kParallelPads = 64;

Block32 derive(Bytes secret, std::string_view salt, unsigned iterations) {
  Block32 out;
  KCPTUN_CHECK(gcry_kdf_derive(secret.data(), secret.size(), GCRY_KDF_PBKDF2, GCRY_MD_SHA1, salt.data(),
                               salt.size(), iterations, out.size(), out.data()) == 0);
  return out;
}

Block32 hmac_sha256(Bytes key, std::string_view message) {
  gcry_mac_hd_t mac;
  KCPTUN_CHECK(gcry_mac_open(&mac, GCRY_MAC_HMAC_SHA256, 0, nullptr) == 0);
  Block32 out;
  std::size_t size = out.size();
  KCPTUN_CHECK(gcry_mac_setkey(mac, key.data(), key.size()) == 0 &&
               gcry_mac_write(mac, message.data(), message.size()) == 0 &&
               gcry_mac_read(mac, out.data(), &size) == 0 && size == out.size());
  gcry_mac_close(mac);
  return out;
}

std::string binary(std::size_t number) {
  std::string digits;
  do digits.insert(digits.begin(), static_cast<char>('0' + number % 2));
  while (number /= 2);
  return digits;
}

// The 32 bytes, a big-endian number, modulo `divisor`.
unsigned remainder(const std::uint8_t* number, unsigned divisor) {
  std::uint64_t rest = 0;
  for (std::size_t i = 0; i < 32; i += 4)
    rest = (rest << 32 | __builtin_bswap32(load_u32(number + i))) % divisor;
  return static_cast<unsigned>(rest);
}

// Seven chunks of key material and the ciphers derived from them. Exists while pads are shuffled.
class Shuffler {
 public:
  explicit Shuffler(Bytes key);
  ~Shuffler();
  Shuffler(const Shuffler&) = delete;
  Shuffler& operator=(const Shuffler&) = delete;

  using Pad = std::array<std::uint8_t, 256>;
  /// Makes the pads from number `first` on. REQUIRES: pads.size() <= kParallelPads.
  void make(std::size_t first, std::span<Pad> pads);

 private:
  std::array<Block32, kCiphers> chunks_;
  std::array<gcry_cipher_hd_t, kCiphers> ciphers_;
};

Shuffler::Shuffler(Bytes key) {
  Block32 seed;
  if (key.size() < seed.size()) {
    seed = derive(key, kDeriveSalt, kIterations);
    key = seed;
  }
  std::size_t at = 0;
  for (std::size_t i = 0; i < kCiphers; ++i) {
    for (std::uint8_t& b : chunks_[i]) b = key[at++ % key.size()];
    chunks_[i] = derive(chunks_[i], kDeriveSalt, kChunkIterations);
    Block32 aes_key = derive(chunks_[i], kShuffleSalt, kIterations);
    KCPTUN_CHECK(gcry_cipher_open(&ciphers_[i], GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_ECB, 0) == 0 &&
                 gcry_cipher_setkey(ciphers_[i], aes_key.data(), aes_key.size()) == 0);
    wipe(aes_key.data(), aes_key.size());
  }
  wipe(seed.data(), seed.size());
}

Shuffler::~Shuffler() {
  for (gcry_cipher_hd_t cipher : ciphers_) gcry_cipher_close(cipher);
  wipe(chunks_.data(), sizeof chunks_);
}

void Shuffler::make(std::size_t first, std::span<Pad> pads) {
  std::array<Block32, kParallelPads> sums;
  for (std::size_t i = 0; i < pads.size(); ++i) {
    for (unsigned k = 0; k < 256; ++k) pads[i][k] = static_cast<std::uint8_t>(k);
    sums[i] = hmac_sha256(chunks_[(first + i) % kCiphers], "QPP_" + binary(first + i));
  }
  for (unsigned k = 255; k >= 1; --k) {
    for (gcry_cipher_hd_t cipher : ciphers_) {
      KCPTUN_CHECK(gcry_cipher_encrypt(cipher, sums.data(), pads.size() * sizeof(Block32), nullptr, 0) == 0);
    }
    for (std::size_t i = 0; i < pads.size(); ++i)
      std::swap(pads[i][k], pads[i][remainder(sums[i].data(), k + 1)]);
  }
  wipe(sums.data(), sizeof sums);
}

}  // namespace

QppPads::QppPads(std::string_view key_text, std::size_t count)
    : count_(static_cast<std::uint32_t>(count)),
      // A count of 1 gives 2^32, which wraps to 0 and so yields index 0, as required.
      reciprocal_(0xffffffffu / count_ + 1),
      forward_(count),
      reverse_(count) {
  KCPTUN_CHECK(count >= 1 && count <= 65535);
  prepare_gcrypt();
  const Bytes key(reinterpret_cast<const std::uint8_t*>(key_text.data()), key_text.size());
  Shuffler shuffler(key);
  for (std::size_t p = 0; p < count; p += kParallelPads) {
    shuffler.make(p, std::span(forward_).subspan(p, std::min(kParallelPads, count - p)));
  }
  for (std::size_t p = 0; p < count; ++p) {
    for (unsigned i = 0; i < 256; ++i) reverse_[p][forward_[p][i]] = static_cast<std::uint8_t>(i);
  }
  Block32 seed = derive(hmac_sha256(key, kSelector), kPrngSalt, kIterations);
  for (std::size_t i = 0; i < seed_.size(); ++i) seed_[i] = load_u64(seed.data() + 8 * i);
  wipe(seed.data(), seed.size());
}

QppPads::~QppPads() {
  wipe(forward_.data(), forward_.size() * sizeof(Pad));
  wipe(reverse_.data(), reverse_.size() * sizeof(Pad));
  wipe(seed_.data(), sizeof seed_);
}

QppStream::QppStream(const QppPads& pads) : pads_(pads), state_(pads.seed_) {}

// xoshiro256** (Blackman, Vigna 2018).
std::uint64_t QppStream::draw() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

// Calls single(pointer, random byte) for the bytes of an incomplete group at either end, and whole(pointer)
// in between.
template <typename Whole, typename Single>
void QppStream::run(MutableBytes bytes, Whole whole, Single single) {
  std::uint8_t* p = bytes.data();
  std::uint8_t* const end = p + bytes.size();
  const auto singles = [&](std::uint8_t* limit) {
    for (; p < limit; ++p, ++used_) single(p, static_cast<std::uint8_t>(random_ >> (8 * used_)));
  };
  if (used_ < 8) singles(p + std::min<std::size_t>(8 - used_, bytes.size()));
  for (; end - p >= 8; p += 8) {
    random_ = draw();
    whole(p);
  }
  if (p == end) return;
  random_ = draw();
  used_ = 0;
  singles(end);
}

// Substitutes each byte of a word.
static std::uint64_t substitute(const std::array<std::uint8_t, 256>& pad, std::uint64_t word) {
  std::uint64_t out = 0;
  for (unsigned i = 0; i < 64; i += 8) out |= std::uint64_t{pad[word >> i & 0xff]} << i;
  return out;
}

void QppStream::encrypt(MutableBytes bytes) {
  run(
      bytes,
      [this](std::uint8_t* p) { store_le(p, substitute(pads_.forward(random_), load_u64(p) ^ random_)); },
      [this](std::uint8_t* p, std::uint8_t r) { *p = pads_.forward(random_)[*p ^ r]; });
}

void QppStream::decrypt(MutableBytes bytes) {
  run(
      bytes,
      [this](std::uint8_t* p) { store_le(p, substitute(pads_.reverse(random_), load_u64(p)) ^ random_); },
      [this](std::uint8_t* p, std::uint8_t r) {
        *p = pads_.reverse(random_)[*p];
        *p = *p ^ r;
      });
}

}  // namespace kcptun
