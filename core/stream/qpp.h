// Quantum permutation pads (QPP): an optional second encryption layer over each stream's payload
// (docs/develop/protocol.md section 8).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"

namespace kcptun {

/// The part that all streams with one key share: the permutations and their inverses (512 bytes per pad), and
/// the initial state of each stream's generator. Immutable; outlives its streams. Construction takes about 2
/// ms plus 20 us per pad. Wiped on destruction.
class QppPads {
 public:
  /// REQUIRES: 1 <= count <= 65535. Aborts if libgcrypt lacks an algorithm, which means a broken build.
  QppPads(std::string_view key, std::size_t count);
  ~QppPads();
  QppPads(const QppPads&) = delete;
  QppPads& operator=(const QppPads&) = delete;

  std::size_t count() const { return count_; }

 private:
  friend class QppStream;
  using Pad = std::array<std::uint8_t, 256>;

  const Pad& forward(std::uint64_t random) const { return forward_[index(random)]; }
  const Pad& reverse(std::uint64_t random) const { return reverse_[index(random)]; }
  /// (random mod 65536) mod count without a division (Lemire, Kaser, Kurz 2019).
  std::size_t index(std::uint64_t random) const {
    const std::uint32_t low = static_cast<std::uint16_t>(random) * reciprocal_;
    return static_cast<std::size_t>((std::uint64_t{low} * count_) >> 32);
  }

  std::uint32_t count_;
  std::uint32_t reciprocal_;  // ceil(2^32 / count), modulo 2^32
  std::vector<Pad> forward_;
  std::vector<Pad> reverse_;
  std::array<std::uint64_t, 4> seed_{};
};

/// One direction of a stream: encrypts only, or decrypts only. The bytes may be split in any way.
class QppStream {
 public:
  explicit QppStream(const QppPads& pads);

  void encrypt(MutableBytes bytes);
  void decrypt(MutableBytes bytes);

 private:
  template <typename Whole, typename Single>
  void run(MutableBytes bytes, Whole whole, Single single);
  std::uint64_t draw();

  const QppPads& pads_;
  std::array<std::uint64_t, 4> state_;  // xoshiro256**
  std::uint64_t random_ = 0;            // of the current group of 8 bytes
  unsigned used_ = 8;                   // bytes of the group already used; 8: draw the next random number
};

}  // namespace kcptun
