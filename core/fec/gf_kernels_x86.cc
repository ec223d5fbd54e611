// The kernels for x86: nibble tables with PSHUFB, and GFNI's affine transformation, which multiplies by a
// constant in any polynomial (multiplication by a constant is linear over bits). Measured in
// tests/bench/fec_bench.cc.
#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#include <cstring>

#include "core/fec/gf_kernels.h"

namespace kcptun::gf::x86 {

namespace {

// VGF2P8AFFINEQB expects row i of the bit matrix in byte 7 - i; its bit j is set if input bit j goes to
// output bit i.
constexpr std::uint64_t affine_matrix(std::uint8_t factor) {
  std::uint64_t matrix = 0;
  for (unsigned j = 0; j < 8; ++j) {
    const std::uint8_t column = multiply(factor, static_cast<std::uint8_t>(1u << j));
    for (unsigned i = 0; i < 8; ++i) {
      if (column >> i & 1) matrix |= std::uint64_t{1} << (8 * (7 - i) + j);
    }
  }
  return matrix;
}
constexpr std::array<std::uint64_t, 256> make_affine() {
  std::array<std::uint64_t, 256> table{};
  for (unsigned f = 0; f < 256; ++f) table[f] = affine_matrix(static_cast<std::uint8_t>(f));
  return table;
}
constexpr std::array<std::uint64_t, 256> kAffine = make_affine();

struct alignas(32) Nibbles {
  std::array<std::uint8_t, 16> low;
  std::array<std::uint8_t, 16> high;
};
constexpr std::array<Nibbles, 256> make_nibbles() {
  std::array<Nibbles, 256> table{};
  for (unsigned f = 0; f < 256; ++f) {
    for (unsigned x = 0; x < 16; ++x) {
      table[f].low[x] = multiply(static_cast<std::uint8_t>(f), static_cast<std::uint8_t>(x));
      table[f].high[x] = multiply(static_cast<std::uint8_t>(f), static_cast<std::uint8_t>(x << 4));
    }
  }
  return table;
}
constexpr std::array<Nibbles, 256> kNibbles = make_nibbles();

// Affine matrices of a block in the order in which the loops read them: one column after the other.
template <std::size_t Rows>
void expand(const Product& product, std::uint64_t* out) {
  for (std::size_t c = 0; c < product.columns; ++c) {
    for (std::size_t r = 0; r < Rows; ++r) *out++ = kAffine[product.factor[r][c]];
  }
}

#define KCPTUN_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,gfni")))
#define KCPTUN_AVX2_GFNI __attribute__((target("avx2,gfni")))
#define KCPTUN_AVX2 __attribute__((target("avx2")))

// `Lanes` vectors of 64 bytes at offset `at`, whole.
template <std::size_t Rows, std::size_t Lanes>
KCPTUN_AVX512 void columns_512(const Product& product, const std::uint64_t* matrix, std::size_t at,
                               Store store) {
  __m512i sum[Rows][Lanes];
  for (std::size_t r = 0; r < Rows; ++r) {
    for (std::size_t l = 0; l < Lanes; ++l) {
      sum[r][l] =
          store == Store::kAdd ? _mm512_loadu_si512(product.target[r] + at + 64 * l) : _mm512_setzero_si512();
    }
  }
  for (std::size_t c = 0; c < product.columns; ++c, matrix += Rows) {
    __m512i x[Lanes];
    for (std::size_t l = 0; l < Lanes; ++l) x[l] = _mm512_loadu_si512(product.source[c] + at + 64 * l);
    for (std::size_t r = 0; r < Rows; ++r) {
      const __m512i m = _mm512_set1_epi64(static_cast<long long>(matrix[r]));
      for (std::size_t l = 0; l < Lanes; ++l) {
        sum[r][l] = _mm512_xor_si512(sum[r][l], _mm512_gf2p8affine_epi64_epi8(x[l], m, 0));
      }
    }
  }
  for (std::size_t r = 0; r < Rows; ++r) {
    for (std::size_t l = 0; l < Lanes; ++l) _mm512_storeu_si512(product.target[r] + at + 64 * l, sum[r][l]);
  }
}

// The last `size` < 64 bytes.
template <std::size_t Rows>
KCPTUN_AVX512 void tail_512(const Product& product, const std::uint64_t* matrix, std::size_t at,
                            std::size_t size, Store store) {
  const __mmask64 mask = (std::uint64_t{1} << size) - 1;
  __m512i sum[Rows];
  for (std::size_t r = 0; r < Rows; ++r) {
    sum[r] =
        store == Store::kAdd ? _mm512_maskz_loadu_epi8(mask, product.target[r] + at) : _mm512_setzero_si512();
  }
  for (std::size_t c = 0; c < product.columns; ++c, matrix += Rows) {
    const __m512i x = _mm512_maskz_loadu_epi8(mask, product.source[c] + at);
    for (std::size_t r = 0; r < Rows; ++r) {
      const __m512i m = _mm512_set1_epi64(static_cast<long long>(matrix[r]));
      sum[r] = _mm512_xor_si512(sum[r], _mm512_gf2p8affine_epi64_epi8(x, m, 0));
    }
  }
  for (std::size_t r = 0; r < Rows; ++r) _mm512_mask_storeu_epi8(product.target[r] + at, mask, sum[r]);
}

template <std::size_t Rows>
KCPTUN_AVX512 void run_512(const Product& product, std::size_t begin, std::size_t end, Store store) {
  std::uint64_t matrix[kRowBlock * kMaxColumns];
  expand<Rows>(product, matrix);
  std::size_t at = begin;
  for (; end - at >= 256; at += 256) columns_512<Rows, 4>(product, matrix, at, store);
  for (; end - at >= 64; at += 64) columns_512<Rows, 1>(product, matrix, at, store);
  if (at < end) tail_512<Rows>(product, matrix, at, end - at, store);
}

// 32 bytes at offset `at`, of which `size` exist.
KCPTUN_AVX2 inline __m256i load_256(const std::uint8_t* p, std::size_t size) {
  if (size == 32) return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  alignas(32) std::uint8_t part[32] = {};
  std::memcpy(part, p, size);
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(part));
}
KCPTUN_AVX2 inline void store_256(std::uint8_t* p, __m256i value, std::size_t size) {
  if (size == 32) return _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), value);
  alignas(32) std::uint8_t part[32];
  _mm256_store_si256(reinterpret_cast<__m256i*>(part), value);
  std::memcpy(p, part, size);
}

template <std::size_t Rows>
KCPTUN_AVX2_GFNI void run_256(const Product& product, std::size_t begin, std::size_t end, Store store) {
  std::uint64_t matrix[kRowBlock * kMaxColumns];
  expand<Rows>(product, matrix);
  for (std::size_t at = begin; at < end; at += 32) {
    const std::size_t size = end - at < 32 ? end - at : 32;
    __m256i sum[Rows];
    for (std::size_t r = 0; r < Rows; ++r) {
      sum[r] = store == Store::kAdd ? load_256(product.target[r] + at, size) : _mm256_setzero_si256();
    }
    const std::uint64_t* m = matrix;
    for (std::size_t c = 0; c < product.columns; ++c, m += Rows) {
      const __m256i x = load_256(product.source[c] + at, size);
      for (std::size_t r = 0; r < Rows; ++r) {
        const __m256i row = _mm256_set1_epi64x(static_cast<long long>(m[r]));
        sum[r] = _mm256_xor_si256(sum[r], _mm256_gf2p8affine_epi64_epi8(x, row, 0));
      }
    }
    for (std::size_t r = 0; r < Rows; ++r) store_256(product.target[r] + at, sum[r], size);
  }
}

KCPTUN_AVX2 inline __m256i table_256(const std::array<std::uint8_t, 16>& half) {
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(half.data())));
}

template <std::size_t Rows>
KCPTUN_AVX2 void run_pshufb(const Product& product, std::size_t begin, std::size_t end, Store store) {
  const __m256i nibble = _mm256_set1_epi8(15);
  for (std::size_t at = begin; at < end; at += 32) {
    const std::size_t size = end - at < 32 ? end - at : 32;
    __m256i sum[Rows];
    for (std::size_t r = 0; r < Rows; ++r) {
      sum[r] = store == Store::kAdd ? load_256(product.target[r] + at, size) : _mm256_setzero_si256();
    }
    for (std::size_t c = 0; c < product.columns; ++c) {
      const __m256i x = load_256(product.source[c] + at, size);
      const __m256i low = _mm256_and_si256(x, nibble);
      const __m256i high = _mm256_and_si256(_mm256_srli_epi64(x, 4), nibble);
      for (std::size_t r = 0; r < Rows; ++r) {
        const Nibbles& table = kNibbles[product.factor[r][c]];
        const __m256i a = _mm256_shuffle_epi8(table_256(table.low), low);
        const __m256i b = _mm256_shuffle_epi8(table_256(table.high), high);
        sum[r] = _mm256_xor_si256(sum[r], _mm256_xor_si256(a, b));
      }
    }
    for (std::size_t r = 0; r < Rows; ++r) store_256(product.target[r] + at, sum[r], size);
  }
}

#define KCPTUN_BY_ROWS(name, run)                                                      \
  void name(const Product& product, std::size_t begin, std::size_t end, Store store) { \
    switch (product.rows) {                                                            \
      case 1:                                                                          \
        return run<1>(product, begin, end, store);                                     \
      case 2:                                                                          \
        return run<2>(product, begin, end, store);                                     \
      case 3:                                                                          \
        return run<3>(product, begin, end, store);                                     \
      default:                                                                         \
        return run<4>(product, begin, end, store);                                     \
    }                                                                                  \
  }
KCPTUN_BY_ROWS(avx512_gfni, run_512)
KCPTUN_BY_ROWS(avx2_gfni, run_256)
KCPTUN_BY_ROWS(avx2, run_pshufb)

bool has_gfni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ecx >> 8 & 1);
}

}  // namespace

bool supported(Backend backend) {
  const bool avx2_there = __builtin_cpu_supports("avx2");  // the system saves the upper halves, too
  switch (backend) {
    case Backend::kAvx2:
      return avx2_there;
    case Backend::kAvx2Gfni:
      return avx2_there && has_gfni();
    case Backend::kAvx512Gfni:
      return has_gfni() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl");
    default:
      return false;
  }
}

Kernel kernel(Backend backend) {
  switch (backend) {
    case Backend::kAvx512Gfni:
      return avx512_gfni;
    case Backend::kAvx2Gfni:
      return avx2_gfni;
    default:
      return avx2;
  }
}

}  // namespace kcptun::gf::x86

#endif  // __x86_64__
