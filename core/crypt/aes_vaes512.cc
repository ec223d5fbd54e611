// AES-CFB with 512-bit VAES: four blocks per register, sixteen in flight.
#if defined(__x86_64__)

#include "core/crypt/aes_wide.h"
#include "core/crypt/cfb_lanes.h"

namespace kcptun {
namespace {

constexpr std::size_t kGroups = 4;  // registers of four lanes each
using Vaes512Lanes = CfbLanes<16, 4 * kGroups>;

/// Transposes four registers as a 4x4 matrix of blocks.
KCPTUN_VAES [[gnu::always_inline]] inline void transpose_blocks(__m512i (&m)[4]) {
  const __m512i a = _mm512_shuffle_i32x4(m[0], m[1], 0x44);  // 00 01 10 11
  const __m512i b = _mm512_shuffle_i32x4(m[0], m[1], 0xee);  // 02 03 12 13
  const __m512i c = _mm512_shuffle_i32x4(m[2], m[3], 0x44);
  const __m512i d = _mm512_shuffle_i32x4(m[2], m[3], 0xee);
  m[0] = _mm512_shuffle_i32x4(a, c, 0x88);
  m[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
  m[2] = _mm512_shuffle_i32x4(b, d, 0x88);
  m[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}

/// Four steps at once: one load takes 64 bytes of each packet, and a transposition distributes them over the
/// steps.
template <int kRounds, std::size_t kCount>
KCPTUN_VAES [[gnu::always_inline]] inline void encrypt_four_steps(const WideKeys& keys,
                                                                  std::uint8_t* const* data, std::size_t at,
                                                                  __m512i (&s)[kCount]) {
  __m512i m[kCount][4];
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kCount; ++g) {
#pragma GCC unroll 4
    for (std::size_t l = 0; l < 4; ++l) m[g][l] = _mm512_loadu_si512(data[4 * g + l] + at);
    transpose_blocks(m[g]);
  }
#pragma GCC unroll 4
  for (std::size_t step = 0; step < 4; ++step) {
    encrypt_blocks<kRounds>(keys, s);
#pragma GCC unroll 8
    for (std::size_t g = 0; g < kCount; ++g) m[g][step] = s[g] = _mm512_xor_si512(s[g], m[g][step]);
  }
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kCount; ++g) {
    transpose_blocks(m[g]);
#pragma GCC unroll 4
    for (std::size_t l = 0; l < 4; ++l) _mm512_storeu_si512(data[4 * g + l] + at, m[g][l]);
  }
}

template <int kRounds, std::size_t kCount>
KCPTUN_VAES [[gnu::always_inline]] inline void encrypt_one_step(const WideKeys& keys,
                                                                std::uint8_t* const* data, std::size_t at,
                                                                __m512i (&s)[kCount]) {
  encrypt_blocks<kRounds>(keys, s);
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kCount; ++g) {
    std::uint8_t* const* d = data + 4 * g;
    __m512i in = _mm512_castsi128_si512(load16(d[0] + at));
    in = _mm512_inserti32x4(in, load16(d[1] + at), 1);
    in = _mm512_inserti32x4(in, load16(d[2] + at), 2);
    in = _mm512_inserti32x4(in, load16(d[3] + at), 3);
    s[g] = _mm512_xor_si512(s[g], in);
    store16(d[0] + at, _mm512_castsi512_si128(s[g]));
    store16(d[1] + at, _mm512_extracti32x4_epi32(s[g], 1));
    store16(d[2] + at, _mm512_extracti32x4_epi32(s[g], 2));
    store16(d[3] + at, _mm512_extracti32x4_epi32(s[g], 3));
  }
}

/// Processes kCount registers of lanes; the others are untouched.
template <int kRounds, std::size_t kCount>
KCPTUN_VAES void encrypt_steps(const WideKeys& keys, Vaes512Lanes::View& view, std::size_t steps) {
  __m512i s[kCount];
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kCount; ++g) s[g] = _mm512_load_si512(view.feedback + 64 * g);
  std::size_t at = 0;
  for (; at + 64 <= 16 * steps; at += 64) encrypt_four_steps<kRounds>(keys, view.data.data(), at, s);
  for (; at < 16 * steps; at += 16) encrypt_one_step<kRounds>(keys, view.data.data(), at, s);
#pragma GCC unroll 8
  for (std::size_t g = 0; g < kCount; ++g) _mm512_store_si512(view.feedback + 64 * g, s[g]);
  for (std::size_t l = 0; l < 4 * kCount; ++l) view.data[l] += at;
}

template <int kRounds>
void encrypt_lanes(const WideKeys& keys, Vaes512Lanes::View& view, std::size_t steps) {
  switch ((view.lanes + 3) / 4) {
    case 1:
      return encrypt_steps<kRounds, 1>(keys, view, steps);
    case 2:
      return encrypt_steps<kRounds, 2>(keys, view, steps);
    case 3:
      return encrypt_steps<kRounds, 3>(keys, view, steps);
    default:
      return encrypt_steps<kRounds, 4>(keys, view, steps);
  }
}

/// Decrypts 16 blocks, or `left` bytes if there are fewer, in place. Masked bytes are neither read nor
/// written. `previous` holds the ciphertext block before them in its highest quarter; it becomes their last
/// one.
template <int kRounds>
KCPTUN_VAES [[gnu::always_inline]] inline void decrypt_group(const WideKeys& keys, std::uint8_t* p,
                                                             const GroupMask& mask, __m512i& previous) {
  __m512i in[4];
  __m512i s[4];
#pragma GCC unroll 4
  for (std::size_t g = 0; g < 4; ++g) in[g] = _mm512_maskz_loadu_epi8(mask.part[g], p + 64 * g);
  s[0] = _mm512_alignr_epi64(in[0], previous, 6);
#pragma GCC unroll 4
  for (std::size_t g = 1; g < 4; ++g) s[g] = _mm512_alignr_epi64(in[g], in[g - 1], 6);
  previous = in[3];
  encrypt_blocks<kRounds>(keys, s);
#pragma GCC unroll 4
  for (std::size_t g = 0; g < 4; ++g)
    _mm512_mask_storeu_epi8(p + 64 * g, mask.part[g], _mm512_xor_si512(s[g], in[g]));
}

template <int kRounds>
KCPTUN_VAES void decrypt_packet(const WideKeys& keys, MutableBytes bytes) {
  constexpr std::size_t kGroup = 256;
  __m512i previous = _mm512_broadcast_i32x4(load16(kCfbIv));
  std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= kGroup; p += kGroup, left -= kGroup) decrypt_group<kRounds>(keys, p, kWholeGroup, previous);
  if (left == 0) return;
  decrypt_group<kRounds>(keys, p, first_of_group(left), previous);
}

template <int kRounds>
class VaesCfb final : public PacketCipher {
 public:
  explicit VaesCfb(Bytes key) : keys_(AesKeys(key)) {}
  void encrypt(std::span<const Packet> packets) override {
    Vaes512Lanes(packets, kCfbIv).run([this](Vaes512Lanes::View& view, std::size_t steps) {
      encrypt_lanes<kRounds>(keys_, view, steps);
    });
  }
  void decrypt(std::span<const Packet> packets) override {
    for (const Packet& packet : packets) decrypt_packet<kRounds>(keys_, packet.bytes());
  }

 private:
  WideKeys keys_;
};

}  // namespace

std::unique_ptr<PacketCipher> make_aes_vaes512_cfb(Bytes key) {
  switch (key.size()) {
    case 16:
      return std::make_unique<VaesCfb<10>>(key);
    case 24:
      return std::make_unique<VaesCfb<12>>(key);
    default:
      return std::make_unique<VaesCfb<14>>(key);
  }
}

}  // namespace kcptun

#endif  // __x86_64__
