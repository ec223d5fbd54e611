// Detects which kernels this CPU can run.
#pragma once

namespace kcptun {

/// Each flag implies that the operating system saves the registers. All are false on CPUs without kernels.
struct CpuFeatures {
  bool avx = false;
  bool avx2 = false;
  bool avx512 = false;   // F, BW, VL and DQ
  bool aes_ni = false;   // with SSE4.1
  bool vaes256 = false;  // avx2, VAES and VPCLMULQDQ
  bool vaes512 = false;  // avx512, VAES and VPCLMULQDQ
};

/// Detected once.
const CpuFeatures& cpu_features();

}  // namespace kcptun
