#include "core/fec/gf_kernels.h"

#include <algorithm>
#include <cstring>

extern "C" {
#include <jerasure/galois.h>
}

#include "core/base/check.h"

namespace kcptun::gf {

#if defined(__x86_64__)
namespace x86 {  // gf_kernels_x86.cc
bool supported(Backend backend);
Kernel kernel(Backend backend);
}  // namespace x86
#else
namespace x86 {
static bool supported(Backend) { return false; }
static Kernel kernel(Backend) { return nullptr; }
}  // namespace x86
#endif

namespace {

constexpr std::size_t kPiece = 2048;
// In bytes: gf-complete computes wrongly when a region ends before its first aligned vector.
constexpr std::size_t kMinRegion = 64;

// gf-complete requires the same offset modulo 16 of source and target, and multiples of 8 bytes: other
// sources are copied, and the rest is multiplied with the table.
void add_product(const std::uint8_t* source, std::uint8_t factor, std::uint8_t* target, std::size_t size,
                 Store store) {
  alignas(16) std::uint8_t scratch[kPiece + 16];
  const auto offset = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16; };
  for (std::size_t done = 0; done < size; done += kPiece) {
    const std::size_t piece = std::min(size - done, kPiece);
    const std::uint8_t* from = source + done;
    std::uint8_t* to = target + done;
    const std::size_t whole = piece < kMinRegion ? 0 : piece & ~std::size_t{7};
    if (whole > 0 && offset(from) != offset(to)) {
      from = static_cast<const std::uint8_t*>(std::memcpy(scratch + offset(to), from, piece));
    }
    if (whole > 0) {
      galois_w08_region_multiply(const_cast<char*>(reinterpret_cast<const char*>(from)), factor,
                                 static_cast<int>(whole), reinterpret_cast<char*>(to), store == Store::kAdd);
    }
    for (std::size_t i = whole; i < piece; ++i) {
      const std::uint8_t product = multiply(factor, from[i]);
      to[i] = store == Store::kAdd ? to[i] ^ product : product;
    }
  }
}

void jerasure_kernel(const Product& product, std::size_t begin, std::size_t end, Store store) {
  for (std::size_t r = 0; r < product.rows; ++r) {
    for (std::size_t c = 0; c < product.columns; ++c) {
      add_product(product.source[c] + begin, product.factor[r][c], product.target[r] + begin, end - begin,
                  c == 0 ? store : Store::kAdd);
    }
  }
}

// libJerasure initialises its field at first use, without a lock; a function-local static has one.
void initialise_jerasure() {
  static const bool done = [] {
    KCPTUN_CHECK(galois_single_multiply(2, 0x80, 8) == 0x1d);  // the protocol's polynomial
    return true;
  }();
  static_cast<void>(done);
}

Backend best_backend() {
  for (Backend backend : {Backend::kAvx512Gfni, Backend::kAvx2Gfni, Backend::kAvx2}) {
    if (x86::supported(backend)) return backend;
  }
  return Backend::kJerasure;
}

}  // namespace

bool supported(Backend backend) {
  return backend == Backend::kBest || backend == Backend::kJerasure || x86::supported(backend);
}

Kernel kernel(Backend backend) {
  if (backend == Backend::kBest) backend = best_backend();
  KCPTUN_CHECK(supported(backend));
  if (backend != Backend::kJerasure) return x86::kernel(backend);
  initialise_jerasure();
  return jerasure_kernel;
}

}  // namespace kcptun::gf
