// AES-GCM with 512-bit VAES and VPCLMULQDQ (NIST SP 800-38D).
//
// GHASH of blocks b0 .. b(n-1) is the sum of b(j) * H^(n-j). With a table of powers as long as a packet, all
// products are independent, and a packet needs one reduction. Field elements are byte-reversed. Powers are
// stored multiplied by x, which compensates for the bit reflection of GCM (Gueron and Kounavis, "Intel
// Carry-Less Multiplication Instruction and its Usage for Computing the GCM Mode", 2014).
#include "core/crypt/gcm_vaes.h"

#if defined(__x86_64__)

#include "core/crypt/aes_wide.h"

namespace kcptun {
namespace {

constexpr std::size_t kGroup = 256;           // bytes in flight: sixteen blocks
constexpr std::size_t kSegment = 7 * kGroup;  // bytes between reductions; more than the largest datagram
constexpr std::size_t kPowers = kSegment / 16 + 1;  // plus the block of lengths
constexpr std::size_t kSpare = 16;                  // read after the last power, multiplied by zero

struct alignas(64) GcmKeys {
  explicit GcmKeys(Bytes key) : aes(AesKeys(key)) {}  // make_powers() does the rest
  ~GcmKeys() { sodium_memzero(powers, sizeof powers); }
  GcmKeys(const GcmKeys&) = delete;
  GcmKeys& operator=(const GcmKeys&) = delete;
  /// The position of H^count, followed by the lower powers.
  const std::uint8_t* power(std::size_t count) const { return powers[kPowers - count]; }

  WideKeys aes;
  std::uint8_t powers[kPowers + kSpare][16] = {};
};

KCPTUN_VAES [[gnu::always_inline]] inline __m128i reverse(__m128i v) {
  return _mm_shuffle_epi8(v, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}
KCPTUN_VAES [[gnu::always_inline]] inline __m512i reverse(__m512i v) {
  return _mm512_shuffle_epi8(
      v, _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
}

KCPTUN_VAES [[gnu::always_inline]] inline __m128i fold_lanes(__m512i v) {
  const __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
  return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/// One step of Montgomery reduction: eliminates the low half of `low` and returns its contribution to the
/// next higher half.
KCPTUN_VAES [[gnu::always_inline]] inline __m128i fold_up(__m128i low) {
  const __m128i polynomial = _mm_set_epi64x(static_cast<long long>(0xc200000000000000), 1);
  return _mm_xor_si128(_mm_clmulepi64_si128(polynomial, low, 0x01), _mm_shuffle_epi32(low, 0x4e));
}

/// A sum of four products at a time, not reduced yet.
struct Sum {
  __m512i low, middle, high;
};

KCPTUN_VAES [[gnu::always_inline]] inline Sum zero_sum() {
  const __m512i zero = _mm512_setzero_si512();
  return {zero, zero, zero};
}

/// Adds four reversed blocks times four descending powers.
KCPTUN_VAES [[gnu::always_inline]] inline void absorb(Sum& sum, __m512i blocks, const std::uint8_t* powers) {
  const __m512i h = _mm512_loadu_si512(powers);
  sum.low = _mm512_xor_si512(sum.low, _mm512_clmulepi64_epi128(blocks, h, 0x00));
  sum.middle = _mm512_ternarylogic_epi64(sum.middle, _mm512_clmulepi64_epi128(blocks, h, 0x01),
                                         _mm512_clmulepi64_epi128(blocks, h, 0x10), 0x96);
  sum.high = _mm512_xor_si512(sum.high, _mm512_clmulepi64_epi128(blocks, h, 0x11));
}

KCPTUN_VAES [[gnu::always_inline]] inline __m128i reduce(const Sum& sum) {
  const __m128i middle = _mm_xor_si128(fold_lanes(sum.middle), fold_up(fold_lanes(sum.low)));
  return _mm_xor_si128(fold_lanes(sum.high), fold_up(middle));
}

template <int kRounds>
KCPTUN_VAES [[gnu::always_inline]] inline __m128i encrypt_block(const WideKeys& keys, __m128i block) {
  block = _mm_xor_si128(block, load16(keys.bytes[0]));
#pragma GCC unroll 14
  for (int r = 1; r < kRounds; ++r) block = _mm_aesenc_si128(block, load16(keys.bytes[r]));
  return _mm_aesenclast_si128(block, load16(keys.bytes[kRounds]));
}

/// H times x in reversed form: a shift by one bit; the bit shifted out adds the polynomial.
KCPTUN_VAES __m128i times_x(__m128i h) {
  const auto low = static_cast<std::uint64_t>(_mm_extract_epi64(h, 0));
  const auto high = static_cast<std::uint64_t>(_mm_extract_epi64(h, 1));
  const std::uint64_t out = 0 - (high >> 63);
  return _mm_set_epi64x(static_cast<long long>((high << 1 | low >> 63) ^ (out & 0xc200000000000000)),
                        static_cast<long long>(low << 1 ^ (out & 1)));
}

template <int kRounds>
KCPTUN_VAES void make_powers(GcmKeys& keys) {
  const __m128i first = times_x(reverse(encrypt_block<kRounds>(keys.aes, _mm_setzero_si128())));
  __m128i power = first;
  store16(keys.powers[kPowers - 1], power);
  for (std::size_t i = 2; i <= kPowers; ++i) {
    Sum sum = zero_sum();
    // The table holds only this power so far: the other three lanes are zero blocks.
    absorb(sum, _mm512_zextsi128_si512(power), keys.power(1));
    power = reduce(sum);
    store16(keys.powers[kPowers - i], power);
  }
}

/// The state between groups. `counter` holds the next four counter blocks, reversed.
struct Progress {
  __m512i counter;
  __m512i carry;  // hash of the previous segments, to be added to the next block
  Sum sum;
};

enum class Direction { kSeal, kOpen };

/// Interleaves encryption of counter blocks with absorption of ciphertext. Each alone leaves half of the
/// execution units idle, and out-of-order execution does not reach far enough to overlap them.
template <int kRounds>
KCPTUN_VAES [[gnu::always_inline]] inline void encrypt_and_absorb(const WideKeys& keys, __m512i (&s)[4],
                                                                  const __m512i (&blocks)[4],
                                                                  const std::uint8_t* powers, Sum& sum) {
  __m512i k = _mm512_load_si512(keys.bytes[0]);
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) s[g] = _mm512_xor_si512(s[g], k);
#pragma GCC unroll 14
  for (int r = 1; r < kRounds; ++r) {
    k = _mm512_load_si512(keys.bytes[r]);
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) s[g] = _mm512_aesenc_epi128(s[g], k);
    if (r % 2 == 1 && r < 8) absorb(sum, blocks[r / 2], powers + 64 * (r / 2));
  }
  k = _mm512_load_si512(keys.bytes[kRounds]);
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) s[g] = _mm512_aesenclast_epi128(s[g], k);
}

KCPTUN_VAES [[gnu::always_inline]] inline void next_counters(Progress& progress, __m512i (&s)[4]) {
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    s[g] = reverse(progress.counter);
    progress.counter = _mm512_add_epi32(progress.counter, _mm512_maskz_set1_epi32(0x1111, 4));
  }
}

/// XORs the keystream `s` in place. `pending` becomes the ciphertext to absorb later.
KCPTUN_VAES [[gnu::always_inline]] inline void seal_group(std::uint8_t* p, const GroupMask& mask,
                                                          const __m512i (&s)[4], __m512i (&pending)[4]) {
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    const __m512i in = _mm512_maskz_loadu_epi8(mask.part[g], p + 64 * g);
    const __m512i out = _mm512_maskz_mov_epi8(mask.part[g], _mm512_xor_si512(in, s[g]));
    _mm512_mask_storeu_epi8(p + 64 * g, mask.part[g], out);
    pending[g] = reverse(out);
  }
}

template <int kRounds>
KCPTUN_VAES [[gnu::always_inline]] inline void seal_segment(const GcmKeys& keys, MutableBytes bytes,
                                                            const std::uint8_t* powers, Progress& progress) {
  std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  if (left == 0) return;
  __m512i s[4];
  __m512i pending[4];  // the previous group
  next_counters(progress, s);
  encrypt_blocks<kRounds>(keys.aes, s);
  seal_group(p, left >= kGroup ? kWholeGroup : first_of_group(left), s, pending);
  pending[0] = _mm512_xor_si512(pending[0], progress.carry);
  while (left > kGroup) {
    p += kGroup;
    left -= kGroup;
    next_counters(progress, s);
    encrypt_and_absorb<kRounds>(keys.aes, s, pending, powers, progress.sum);
    powers += kGroup;
    if (left >= kGroup) {
      seal_group(p, kWholeGroup, s, pending);
    } else {
      seal_group(p, first_of_group(left), s, pending);
    }
  }
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) absorb(progress.sum, pending[g], powers + 64 * g);
}

template <int kRounds>
KCPTUN_VAES [[gnu::always_inline]] inline void open_group(const GcmKeys& keys, std::uint8_t* p,
                                                          const GroupMask& mask, const std::uint8_t* powers,
                                                          Progress& progress) {
  __m512i in[4];
  __m512i s[4];
  __m512i blocks[4];
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    in[g] = _mm512_maskz_loadu_epi8(mask.part[g], p + 64 * g);
    blocks[g] = reverse(in[g]);
  }
  blocks[0] = _mm512_xor_si512(blocks[0], progress.carry);
  progress.carry = _mm512_setzero_si512();
  next_counters(progress, s);
  encrypt_and_absorb<kRounds>(keys.aes, s, blocks, powers, progress.sum);
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g)
    _mm512_mask_storeu_epi8(p + 64 * g, mask.part[g], _mm512_xor_si512(in[g], s[g]));
}

template <int kRounds>
KCPTUN_VAES [[gnu::always_inline]] inline void open_segment(const GcmKeys& keys, MutableBytes bytes,
                                                            const std::uint8_t* powers, Progress& progress) {
  std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= kGroup; p += kGroup, left -= kGroup, powers += kGroup)
    open_group<kRounds>(keys, p, kWholeGroup, powers, progress);
  if (left > 0) open_group<kRounds>(keys, p, first_of_group(left), powers, progress);
}

/// Processes a segment whose first block is multiplied by H^power.
template <Direction kDirection, int kRounds>
KCPTUN_VAES [[gnu::always_inline]] inline void crypt_segment(const GcmKeys& keys, MutableBytes bytes,
                                                             std::size_t power, Progress& progress) {
  progress.sum = zero_sum();
  if constexpr (kDirection == Direction::kSeal) {
    seal_segment<kRounds>(keys, bytes, keys.power(power), progress);
  } else {
    open_segment<kRounds>(keys, bytes, keys.power(power), progress);
  }
}

/// The hash of the associated data, which the text's first block is added to.
KCPTUN_VAES [[gnu::always_inline]] inline __m128i hash_associated(const GcmKeys& keys, Bytes associated) {
  if (associated.empty()) return _mm_setzero_si128();
  Sum sum = zero_sum();
  const std::uint8_t* powers = keys.power((associated.size() + 15) / 16);
  for (std::size_t at = 0; at < associated.size(); at += 64, powers += 64) {
    const __m512i in = _mm512_maskz_loadu_epi8(leading_bytes(associated.size() - at), associated.data() + at);
    absorb(sum, reverse(in), powers);
  }
  return reduce(sum);
}

/// Encrypts or decrypts the text in place and returns the tag of its ciphertext.
template <Direction kDirection, int kRounds>
KCPTUN_VAES [[gnu::always_inline]] inline __m128i crypt(const GcmKeys& keys, GcmCipher::Nonce nonce,
                                                        Bytes associated, MutableBytes text) {
  const __m128i base = _mm_and_si128(reverse(load16(nonce)), _mm_set_epi32(-1, -1, -1, 0));
  const __m128i tag_mask =
      encrypt_block<kRounds>(keys.aes, reverse(_mm_add_epi32(base, _mm_set_epi32(0, 0, 0, 1))));
  Progress progress;
  progress.counter = _mm512_add_epi32(_mm512_broadcast_i32x4(base),
                                      _mm512_set_epi32(0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2));
  const __m128i hashed = hash_associated(keys, associated);
  progress.carry = _mm512_zextsi128_si512(hashed);

  __m128i lengths =
      _mm_set_epi64x(static_cast<long long>(associated.size()) * 8, static_cast<long long>(text.size()) * 8);
  if (text.empty()) lengths = _mm_xor_si128(lengths, hashed);  // no block of text takes it
  for (; text.size() > kSegment; text = text.subspan(kSegment)) {
    crypt_segment<kDirection, kRounds>(keys, text.first(kSegment), kSegment / 16, progress);
    progress.carry = _mm512_zextsi128_si512(reduce(progress.sum));
  }
  crypt_segment<kDirection, kRounds>(keys, text, (text.size() + 15) / 16 + 1, progress);
  absorb(progress.sum, _mm512_zextsi128_si512(lengths), keys.power(1));
  return _mm_xor_si128(reverse(reduce(progress.sum)), tag_mask);
}

template <int kRounds>
class VaesGcm final : public GcmCipher {
 public:
  explicit VaesGcm(Bytes key) : keys_(key) { make_powers<kRounds>(keys_); }

  KCPTUN_VAES void seal(Nonce nonce, Bytes associated, MutableBytes message) override {
    store16(message.last(kGcmTag).data(),
            crypt<Direction::kSeal, kRounds>(keys_, nonce, associated, text_of(message)));
  }
  KCPTUN_VAES bool open(Nonce nonce, Bytes associated, MutableBytes message) override {
    const __m128i tag = crypt<Direction::kOpen, kRounds>(keys_, nonce, associated, text_of(message));
    // Tests all bits at once, in constant time.
    const __m128i difference = _mm_xor_si128(tag, load16(message.last(kGcmTag).data()));
    return _mm_test_all_zeros(difference, difference) != 0;
  }

 private:
  static MutableBytes text_of(MutableBytes message) { return message.first(message.size() - kGcmTag); }
  static_assert(kMaxAssociated / 16 <= kPowers);

  GcmKeys keys_;
};

}  // namespace

std::unique_ptr<GcmCipher> make_vaes_gcm(Bytes key) {
  if (key.size() == 16) return std::make_unique<VaesGcm<10>>(key);
  return std::make_unique<VaesGcm<14>>(key);
}

}  // namespace kcptun

#endif  // __x86_64__
