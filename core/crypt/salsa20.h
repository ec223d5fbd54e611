// Salsa20/20 with the fastest implementation that the CPU supports.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/bytes.h"
#include "core/crypt/packet_cipher.h"

namespace kcptun {

/// The portable implementation is libsodium, one packet at a time. The others work across packets.
enum class Salsa20Path : std::uint8_t { kPortable, kAvx2, kAvx512 };

bool cpu_can(Salsa20Path path);
Salsa20Path best_salsa20_path();

/// The packet's first 8 bytes are the nonce and stay unencrypted; a packet of 8 bytes or less is unchanged.
/// REQUIRES: key.size() is 32, and cpu_can(path).
std::unique_ptr<PacketCipher> make_salsa20(Bytes key, Salsa20Path path);

/// Common to all implementations: the key in the forms that they need. Wiped on destruction.
class Salsa20Key {
 public:
  static constexpr std::size_t kSize = 32;
  static constexpr std::size_t kNonce = 8;
  static constexpr std::size_t kBlock = 64;

  /// REQUIRES: key.size() is 32.
  explicit Salsa20Key(Bytes key);
  ~Salsa20Key();
  Salsa20Key(const Salsa20Key&) = delete;
  Salsa20Key& operator=(const Salsa20Key&) = delete;

  /// The input of every block except nonce and counter, words 6 to 9, which are 0 here.
  const std::uint32_t* input() const { return input_.data(); }

  /// Uses libsodium.
  void apply_portable(const Packet& packet) const;

 private:
  std::array<std::uint8_t, kSize> bytes_;
  std::array<std::uint32_t, 16> input_{};
};

/// For a single block libsodium is faster than the kernels, whose time hardly depends on the number of active
/// lanes.
inline bool salsa20_is_one_block(std::span<const Packet> packets) {
  return packets.size() == 1 && packets[0].size <= Salsa20Key::kNonce + Salsa20Key::kBlock;
}

std::unique_ptr<PacketCipher> make_salsa20_avx2(Bytes key);
std::unique_ptr<PacketCipher> make_salsa20_avx512(Bytes key);

}  // namespace kcptun
