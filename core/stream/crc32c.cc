#include "core/stream/crc32c.h"

#if defined(KCPTUN_ISAL)
#include <isa-l/crc.h>
#else
#include "core/base/sliced_crc.h"
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kcptun {

#if defined(KCPTUN_ISAL)
namespace {

#if defined(__x86_64__)
// ISA-L may leave the upper halves of the AVX registers set, which slows down SSE code until they are
// cleared.
__attribute__((target("avx"))) void clean_upper_halves() { _mm256_zeroupper(); }
const bool kHasAvx = __builtin_cpu_supports("avx");
#else
void clean_upper_halves() {}
constexpr bool kHasAvx = false;
#endif

}  // namespace

std::uint32_t crc32c(Bytes bytes) {
  // crc32_iscsi does not modify its input. The caller inverts at both ends.
  const unsigned crc =
      crc32_iscsi(const_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), 0xffffffffu);
  if (kHasAvx) clean_upper_halves();
  return ~crc;
}
#else
std::uint32_t crc32c(Bytes bytes) { return sliced_crc<kCrc32cPolynomial>(bytes); }
#endif

}  // namespace kcptun
