#include "core/crypt/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace kcptun {
namespace {

CpuFeatures detect() {
  CpuFeatures f;
#if defined(__x86_64__)
  __builtin_cpu_init();
  f.avx = __builtin_cpu_supports("avx");
  f.avx2 = __builtin_cpu_supports("avx2");
  f.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  f.aes_ni = __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
  // Some compilers' __builtin_cpu_supports lacks these two names (clang 14: "vaes").
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (f.avx2 && __get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    const unsigned both = (1u << 9) | (1u << 10);
    f.vaes256 = (c & both) == both;
    f.vaes512 = f.vaes256 && f.avx512;
  }
#endif
  return f;
}

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

}  // namespace kcptun
