#include "core/crypt/crc32.h"

#if defined(KCPTUN_ISAL)
#include <isa-l/crc.h>
#else
#include "core/base/sliced_crc.h"
#endif

#include "core/crypt/cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kcptun {

#if defined(KCPTUN_ISAL)
namespace {

#if defined(__x86_64__)
// Debian's ISA-L leaves the upper halves of the AVX registers set, which slows later SSE code several times.
[[gnu::target("avx")]] void clear_upper_halves() { _mm256_zeroupper(); }
#endif

}  // namespace

std::uint32_t crc32(Bytes bytes) {
  // Some versions of ISA-L take a mutable pointer but never write. ISA-L selects the implementation for the
  // CPU.
  const std::uint32_t crc = crc32_gzip_refl(0, const_cast<std::uint8_t*>(bytes.data()), bytes.size());
#if defined(__x86_64__)
  static const bool avx = cpu_features().avx;
  if (avx) clear_upper_halves();
#endif
  return crc;
}
#else
std::uint32_t crc32(Bytes bytes) { return sliced_crc<kCrc32Polynomial>(bytes); }
#endif

}  // namespace kcptun
