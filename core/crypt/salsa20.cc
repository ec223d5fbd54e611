#include "core/crypt/salsa20.h"

#include <sodium.h>

#include <algorithm>
#include <array>

#include "core/base/check.h"
#include "core/crypt/cpu.h"
#include "core/crypt/libraries.h"

namespace kcptun {
namespace {

class PortableSalsa20 final : public PacketCipher {
 public:
  explicit PortableSalsa20(Bytes key) : key_(key) {}
  void encrypt(std::span<const Packet> packets) override {
    for (const Packet& packet : packets) key_.apply_portable(packet);
  }
  void decrypt(std::span<const Packet> packets) override { encrypt(packets); }

 private:
  Salsa20Key key_;
};

}  // namespace

Salsa20Key::Salsa20Key(Bytes key) {
  static constexpr std::array<std::uint32_t, 4> kSigma = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  KCPTUN_CHECK(key.size() == kSize);
  prepare_sodium();
  std::copy(key.begin(), key.end(), bytes_.begin());
  for (std::size_t i = 0; i < 4; ++i) {
    input_[5 * i] = kSigma[i];
    input_[1 + i] = load_u32(key.data() + 4 * i);
    input_[11 + i] = load_u32(key.data() + 16 + 4 * i);
  }
}

Salsa20Key::~Salsa20Key() {
  sodium_memzero(bytes_.data(), sizeof bytes_);
  sodium_memzero(input_.data(), sizeof input_);
}

void Salsa20Key::apply_portable(const Packet& packet) const {
  static_assert(kSize == crypto_stream_salsa20_KEYBYTES && kNonce == crypto_stream_salsa20_NONCEBYTES);
  if (packet.size <= kNonce) return;
  std::uint8_t* body = packet.data + kNonce;
  crypto_stream_salsa20_xor(body, body, packet.size - kNonce, packet.data, bytes_.data());
}

bool cpu_can(Salsa20Path path) {
  switch (path) {
    case Salsa20Path::kPortable:
      return true;
    case Salsa20Path::kAvx2:
      return cpu_features().avx2;
    case Salsa20Path::kAvx512:
      return cpu_features().avx512;
  }
  return false;
}

Salsa20Path best_salsa20_path() {
  if (cpu_can(Salsa20Path::kAvx512)) return Salsa20Path::kAvx512;
  if (cpu_can(Salsa20Path::kAvx2)) return Salsa20Path::kAvx2;
  return Salsa20Path::kPortable;
}

std::unique_ptr<PacketCipher> make_salsa20(Bytes key, Salsa20Path path) {
  KCPTUN_CHECK(cpu_can(path));
  switch (path) {
#if defined(__x86_64__)
    case Salsa20Path::kAvx512:
      return make_salsa20_avx512(key);
    case Salsa20Path::kAvx2:
      return make_salsa20_avx2(key);
#endif
    default:
      return std::make_unique<PortableSalsa20>(key);
  }
}

}  // namespace kcptun
