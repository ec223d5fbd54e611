#include "core/crypt/noise_gcm.h"

#include <array>

#include "core/base/check.h"
#include "core/crypt/cpu.h"
#include "core/crypt/gcm.h"
#include "core/crypt/libraries.h"
#include "core/noise/keys.h"

namespace kcptun {
namespace {

static_assert(noise::kTagSize == kGcmTag);

// The framework's nonce (Noise revision 34, section 12.4): 32 zero bits and the number, big-endian; and four
// bytes more, as GcmCipher::Nonce asks for.
using PaddedNonce = std::array<std::uint8_t, 16>;

PaddedNonce nonce_of(std::uint64_t number) {
  PaddedNonce nonce{};
  for (std::size_t i = 0; i < sizeof number; ++i)
    nonce[4 + i] = static_cast<std::uint8_t>(number >> (8 * (sizeof number - 1 - i)));
  return nonce;
}

class NoiseGcm final : public noise::DataCipher {
 public:
  explicit NoiseGcm(Bytes key) : cipher_(make_gcm(key, best_gcm_path())) {}

  void seal(std::uint64_t number, Bytes associated, MutableBytes message) override {
    KCPTUN_CHECK(message.size() >= kGcmTag);
    cipher_->seal(nonce_of(number).data(), associated, message);
  }
  bool open(std::uint64_t number, Bytes associated, MutableBytes message) override {
    return message.size() >= kGcmTag && cipher_->open(nonce_of(number).data(), associated, message);
  }

 private:
  std::unique_ptr<GcmCipher> cipher_;
};

}  // namespace

std::unique_ptr<noise::DataCipher> make_noise_gcm(Bytes key) { return std::make_unique<NoiseGcm>(key); }

noise::MakeDataCipher fast_noise_gcm() {
  return cpu_features().aes_ni || library_has_arm_aes() ? make_noise_gcm : nullptr;
}

}  // namespace kcptun
