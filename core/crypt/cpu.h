// Which of our kernels this CPU can run.
#pragma once

namespace kcptun {

/// Each implies that the operating system keeps the registers. All false where we have no kernels.
struct CpuFeatures {
  bool avx = false;
  bool avx2 = false;
  bool avx512 = false;  // F, BW, VL and DQ
  bool aes_ni = false;  // with SSE4.1
  bool vaes256 = false;  // avx2, VAES and VPCLMULQDQ
  bool vaes512 = false;  // avx512, VAES and VPCLMULQDQ
};

/// Looked up once.
const CpuFeatures& cpu_features();

}  // namespace kcptun
