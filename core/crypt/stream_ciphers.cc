#include "core/crypt/stream_ciphers.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "core/base/check.h"
#include "core/crypt/libraries.h"

namespace kcptun {
namespace {

/// A cipher that is its own inverse.
class Involution : public PacketCipher {
 public:
  void encrypt(std::span<const Packet> packets) final { apply(packets); }
  void decrypt(std::span<const Packet> packets) final { apply(packets); }

 private:
  virtual void apply(std::span<const Packet> packets) = 0;
};

class Xor final : public Involution {
 public:
  explicit Xor(Bytes key) {
    static constexpr std::string_view kSalt = "sH3CIVoF#rWLtJo6";
    static constexpr unsigned long kIterations = 32;
    prepare_gcrypt();
    KCPTUN_CHECK(gcry_kdf_derive(key.data(), key.size(), GCRY_KDF_PBKDF2, GCRY_MD_SHA1, kSalt.data(),
                                 kSalt.size(), kIterations, table_.size(), table_.data()) == 0);
  }
  ~Xor() override { sodium_memzero(table_.data(), table_.size()); }

 private:
  void apply(std::span<const Packet> packets) override {
    for (const Packet& packet : packets) {
      const std::size_t size = std::min<std::size_t>(packet.size, table_.size());
      std::size_t i = 0;
      // In words: bytes might alias the table, which would prevent vectorisation.
      for (; i + 8 <= size; i += 8)
        store_le(packet.data + i, load_u64(packet.data + i) ^ load_u64(&table_[i]));
      for (; i < size; ++i) packet.data[i] ^= table_[i];
    }
  }

  std::array<std::uint8_t, kMaxDatagram> table_;
};

class None final : public Involution {
  void apply(std::span<const Packet>) override {}
};

}  // namespace

std::unique_ptr<PacketCipher> make_xor(Bytes key) { return std::make_unique<Xor>(key); }
std::unique_ptr<PacketCipher> make_none() { return std::make_unique<None>(); }

}  // namespace kcptun
