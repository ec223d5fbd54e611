#include "core/crypt/gcrypt_cfb.h"

#include "core/base/check.h"
#include "core/crypt/cfb_lanes.h"
#include "core/crypt/libraries.h"

namespace kcptun {
namespace {

/// With fewer packets, the library's own CFB, one packet at a time, is faster than steps over few lanes.
constexpr std::size_t kMinLanes = 3;

template <std::size_t kBlock>
class GcryptCfb final : public PacketCipher {
 public:
  GcryptCfb(int algorithm, Bytes key) : cipher_(algorithm, GCRY_CIPHER_MODE_CFB, key) {}

  void encrypt(std::span<const Packet> packets) override {
    if (packets.size() >= kMinLanes) {
      Lanes(packets, kCfbIv).run([this](typename Lanes::View& view, std::size_t steps) {
        while (steps-- > 0) step(view);
      });
      return;
    }
    for (const Packet& packet : packets) {
      cipher_.set_iv({kCfbIv, kBlock});
      cipher_.encrypt(packet.bytes());
    }
  }

  void decrypt(std::span<const Packet> packets) override {
    for (const Packet& packet : packets) {
      if (packet.size == 0) continue;
      cipher_.set_iv({kCfbIv, kBlock});
      cipher_.decrypt(packet.bytes());
    }
  }

 private:
  using Lanes = CfbLanes<kBlock, 64>;

  /// Processes one block of each lane. libgcrypt has vector code for CFB decryption of every cipher, but not
  /// for ECB. Decrypting the blocks f1 f2 .. fn 0 with f0 as the initialisation vector yields E(fi) ^ f(i+1)
  /// in each position: all the E(fi) that the lanes need, in one call.
  void step(typename Lanes::View& view) {
    const std::size_t size = view.lanes * kBlock;
    cipher_.set_iv({view.feedback, kBlock});
    cipher_.decrypt({stream_, size}, {view.feedback + kBlock, size});
    for (std::size_t l = 0; l < view.lanes; ++l) {
      std::uint8_t* feedback = view.feedback + l * kBlock;
      for (std::size_t i = 0; i < kBlock; i += 8) {
        const std::uint64_t sealed =
            load_u64(stream_ + l * kBlock + i) ^ load_u64(feedback + kBlock + i) ^ load_u64(view.data[l] + i);
        store_le(feedback + i, sealed);
        store_le(view.data[l] + i, sealed);
      }
      view.data[l] += kBlock;
    }
  }

  GcryptCipher cipher_;
  alignas(64) std::uint8_t stream_[64 * kBlock];
};

}  // namespace

std::unique_ptr<PacketCipher> make_gcrypt_cfb(int algorithm, Bytes key) {
  prepare_gcrypt();
  switch (gcry_cipher_get_algo_blklen(algorithm)) {
    case 8:
      return std::make_unique<GcryptCfb<8>>(algorithm, key);
    case 16:
      return std::make_unique<GcryptCfb<16>>(algorithm, key);
    default:
      KCPTUN_CHECK(false);
      return nullptr;
  }
}

}  // namespace kcptun
