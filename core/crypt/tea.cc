// Wheeler and Needham: TEA (1994), "Tea extensions" (1997). Words are big-endian here, as in
// golang.org/x/crypto.
#include "core/crypt/tea.h"

#include <sodium.h>

#include "core/base/check.h"
#include "core/crypt/cfb_lanes.h"
#include "core/crypt/cpu.h"

#if defined(__x86_64__)
#define KCPTUN_TEA_AVX2 [[gnu::target("avx2")]]
#define KCPTUN_TEA_AVX512 [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq")]]
#endif

namespace kcptun {
namespace {

constexpr std::size_t kTeaLanes = 16;
constexpr std::size_t kBlock = 8;
constexpr std::uint32_t kDelta = 0x9e3779b9;
using TeaLanes = CfbLanes<kBlock, kTeaLanes>;

/// One word from each of sixteen blocks. The compiler splits it into the registers that the target has.
using TeaWords = std::uint32_t __attribute__((vector_size(4 * kTeaLanes)));

struct Key {
  explicit Key(Bytes key) {
    KCPTUN_CHECK(key.size() == 16);
    for (std::size_t i = 0; i < 4; ++i) word[i] = __builtin_bswap32(load_u32(key.data() + 4 * i));
  }
  ~Key() { sodium_memzero(word, sizeof word); }
  std::uint32_t word[4];
};

class Tea {
 public:
  explicit Tea(Bytes key) : key_(key) {}
  [[gnu::always_inline]] void encrypt(TeaWords& a, TeaWords& b) const {
    std::uint32_t sum = 0;
    for (int cycle = 0; cycle < 8; ++cycle) {
      sum += kDelta;
      a += ((b << 4) + key_.word[0]) ^ (b + sum) ^ ((b >> 5) + key_.word[1]);
      b += ((a << 4) + key_.word[2]) ^ (a + sum) ^ ((a >> 5) + key_.word[3]);
    }
  }

 private:
  Key key_;
};

class Xtea {
 public:
  explicit Xtea(Bytes bytes) {
    const Key key(bytes);
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < kRounds; i += 2) {
      table_[i] = sum + key.word[sum & 3];
      sum += kDelta;
      table_[i + 1] = sum + key.word[(sum >> 11) & 3];
    }
  }
  ~Xtea() { sodium_memzero(table_, sizeof table_); }
  [[gnu::always_inline]] void encrypt(TeaWords& a, TeaWords& b) const {
    for (std::size_t i = 0; i < kRounds; i += 2) {
      a += (((b << 4) ^ (b >> 5)) + b) ^ table_[i];
      b += (((a << 4) ^ (a >> 5)) + a) ^ table_[i + 1];
    }
  }

 private:
  static constexpr std::size_t kRounds = 64;
  std::uint32_t table_[kRounds];
};

[[gnu::always_inline]] inline void load_tea_block(const std::uint8_t* p, std::size_t l, TeaWords& a,
                                                  TeaWords& b) {
  a[l] = __builtin_bswap32(load_u32(p));
  b[l] = __builtin_bswap32(load_u32(p + 4));
}
[[gnu::always_inline]] inline std::uint64_t block_of(const TeaWords& a, const TeaWords& b, std::size_t l) {
  return std::uint64_t{__builtin_bswap32(a[l])} | std::uint64_t{__builtin_bswap32(b[l])} << 32;
}

template <typename Cipher>
[[gnu::always_inline]] inline void encrypt_steps(const Cipher& cipher, TeaLanes::View& view,
                                                 std::size_t steps) {
  for (; steps > 0; --steps) {
    TeaWords a, b;
    for (std::size_t l = 0; l < kTeaLanes; ++l) load_tea_block(view.feedback + kBlock * l, l, a, b);
    cipher.encrypt(a, b);
    for (std::size_t l = 0; l < kTeaLanes; ++l) {
      const std::uint64_t sealed = block_of(a, b, l) ^ load_u64(view.data[l]);
      store_le(view.feedback + kBlock * l, sealed);
      store_le(view.data[l], sealed);
      view.data[l] += kBlock;
    }
  }
}

/// Decrypts sixteen blocks in place. `feedback` is the block before them; it becomes their last one.
template <typename Cipher>
[[gnu::always_inline]] inline void decrypt_group(const Cipher& cipher, std::uint8_t* p,
                                                 std::uint8_t* feedback) {
  TeaWords a, b;
  load_tea_block(feedback, 0, a, b);
  for (std::size_t l = 1; l < kTeaLanes; ++l) load_tea_block(p + kBlock * (l - 1), l, a, b);
  std::memcpy(feedback, p + kBlock * (kTeaLanes - 1), kBlock);
  cipher.encrypt(a, b);
  for (std::size_t l = 0; l < kTeaLanes; ++l)
    store_le(p + kBlock * l, block_of(a, b, l) ^ load_u64(p + kBlock * l));
}

template <typename Cipher>
[[gnu::always_inline]] inline void decrypt_packet(const Cipher& cipher, MutableBytes bytes) {
  constexpr std::size_t kTeaGroup = kBlock * kTeaLanes;
  std::uint8_t feedback[kBlock];
  std::memcpy(feedback, kCfbIv, kBlock);
  std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= kTeaGroup; p += kTeaGroup, left -= kTeaGroup) decrypt_group(cipher, p, feedback);
  if (left == 0) return;
  std::uint8_t group[kTeaGroup] = {};
  std::memcpy(group, p, left);
  decrypt_group(cipher, group, feedback);
  std::memcpy(p, group, left);
}

/// A separate set of functions per implementation, so that the compiler generates one per instruction set.
template <typename Cipher>
struct Portable {
  static void encrypt(const Cipher& c, TeaLanes::View& view, std::size_t steps) {
    encrypt_steps(c, view, steps);
  }
  static void decrypt(const Cipher& c, MutableBytes bytes) { decrypt_packet(c, bytes); }
};
#if defined(__x86_64__)
template <typename Cipher>
struct Avx2 {
  KCPTUN_TEA_AVX2 static void encrypt(const Cipher& c, TeaLanes::View& view, std::size_t steps) {
    encrypt_steps(c, view, steps);
  }
  KCPTUN_TEA_AVX2 static void decrypt(const Cipher& c, MutableBytes bytes) { decrypt_packet(c, bytes); }
};
template <typename Cipher>
struct Avx512 {
  KCPTUN_TEA_AVX512 static void encrypt(const Cipher& c, TeaLanes::View& view, std::size_t steps) {
    encrypt_steps(c, view, steps);
  }
  KCPTUN_TEA_AVX512 static void decrypt(const Cipher& c, MutableBytes bytes) { decrypt_packet(c, bytes); }
};
#endif

template <typename Cipher, template <typename> typename Code>
class LaneCfb final : public PacketCipher {
 public:
  explicit LaneCfb(Bytes key) : cipher_(key) {}
  void encrypt(std::span<const Packet> packets) override {
    TeaLanes(packets, kCfbIv).run([this](TeaLanes::View& view, std::size_t steps) {
      Code<Cipher>::encrypt(cipher_, view, steps);
    });
  }
  void decrypt(std::span<const Packet> packets) override {
    for (const Packet& packet : packets) Code<Cipher>::decrypt(cipher_, packet.bytes());
  }

 private:
  Cipher cipher_;
};

template <typename Cipher>
std::unique_ptr<PacketCipher> make(Bytes key, TeaPath path) {
  KCPTUN_CHECK(cpu_can(path));
  switch (path) {
#if defined(__x86_64__)
    case TeaPath::kAvx512:
      return std::make_unique<LaneCfb<Cipher, Avx512>>(key);
    case TeaPath::kAvx2:
      return std::make_unique<LaneCfb<Cipher, Avx2>>(key);
#endif
    default:
      return std::make_unique<LaneCfb<Cipher, Portable>>(key);
  }
}

}  // namespace

bool cpu_can(TeaPath path) {
  switch (path) {
    case TeaPath::kPortable:
      return true;
    case TeaPath::kAvx2:
      return cpu_features().avx2;
    case TeaPath::kAvx512:
      return cpu_features().avx512;
  }
  return false;
}

TeaPath best_tea_path() {
  if (cpu_can(TeaPath::kAvx512)) return TeaPath::kAvx512;
  if (cpu_can(TeaPath::kAvx2)) return TeaPath::kAvx2;
  return TeaPath::kPortable;
}

std::unique_ptr<PacketCipher> make_tea_cfb(Bytes key, TeaPath path) { return make<Tea>(key, path); }
std::unique_ptr<PacketCipher> make_xtea_cfb(Bytes key, TeaPath path) { return make<Xtea>(key, path); }

}  // namespace kcptun
