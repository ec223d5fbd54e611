// Arithmetic in GF(2^8) with polynomial 0x11d, and the one bulk operation that Reed-Solomon needs: small
// matrix times shards. Several implementations of it, chosen at run time; all give the same bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kcptun::gf {

namespace detail {
struct Tables {
  std::array<std::uint8_t, 510>
      exp{};  // twice the cycle of 255, so that sums of two logarithms need no reduction
  std::array<std::uint8_t, 256> log{};  // log[0] is meaningless
};
constexpr Tables make_tables() {
  Tables t;
  unsigned x = 1;
  for (unsigned i = 0; i < 255; ++i) {
    t.exp[i] = t.exp[i + 255] = static_cast<std::uint8_t>(x);
    t.log[x] = static_cast<std::uint8_t>(i);
    x <<= 1;
    if (x & 0x100) x ^= 0x11d;
  }
  return t;
}
inline constexpr Tables kTables = make_tables();
}  // namespace detail

/// Discrete logarithm to base 2. REQUIRES: x != 0.
constexpr unsigned log(unsigned x) { return detail::kTables.log[x]; }
/// 2 to the power `n`, any n >= 0.
constexpr std::uint8_t power(unsigned n) { return detail::kTables.exp[n % 255]; }
constexpr std::uint8_t multiply(std::uint8_t a, std::uint8_t b) {
  return a == 0 || b == 0 ? std::uint8_t{0} : detail::kTables.exp[log(a) + log(b)];
}

/// Rows that one kernel call computes: their sums stay in registers while each source is read once.
inline constexpr std::size_t kRowBlock = 4;
inline constexpr std::size_t kMaxColumns = 256;

/// Implementations of the kernel. kJerasure is the portable one: the region routines of libJerasure and
/// gf-complete.
enum class Backend : std::uint8_t { kBest, kJerasure, kAvx2, kAvx2Gfni, kAvx512Gfni };
/// Whether the product replaces the targets or is added to them.
enum class Store : std::uint8_t { kSet, kAdd };

/// target[r] = (target[r] +) sum over c of factor[r][c] * source[c]. Pointers need no alignment; targets
/// overlap nothing.
struct Product {
  std::array<const std::uint8_t*, kMaxColumns> source;
  std::array<std::array<std::uint8_t, kMaxColumns>, kRowBlock> factor;
  std::array<std::uint8_t*, kRowBlock> target;
  std::size_t columns = 0;  // at least 1
  std::size_t rows = 0;     // 1..kRowBlock
};

/// Computes bytes [begin, end) of the product.
using Kernel = void (*)(const Product& product, std::size_t begin, std::size_t end, Store store);

/// True if this machine can run the backend. kBest and kJerasure: always.
bool supported(Backend backend);
/// REQUIRES: supported(backend). The first call initialises gf-complete's process-wide state; it may come
/// from any thread.
Kernel kernel(Backend backend);

}  // namespace kcptun::gf
