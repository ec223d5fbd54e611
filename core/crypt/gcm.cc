#include "core/crypt/gcm.h"

#include "core/base/check.h"
#include "core/crypt/cpu.h"
#include "core/crypt/gcm_vaes.h"
#include "core/crypt/libraries.h"

namespace kcptun {
namespace {

class GcryptGcm final : public GcmCipher {
 public:
  explicit GcryptGcm(Bytes key) : cipher_(GCRY_CIPHER_AES128, GCRY_CIPHER_MODE_GCM, key) {}

  void seal(MutableBytes packet) override {
    cipher_.set_iv(packet.first(kGcmNonce));
    cipher_.encrypt(packet.subspan(kGcmNonce, packet.size() - kGcmNonce - kGcmTag));
    cipher_.get_tag(packet.last(kGcmTag));
  }
  bool open(MutableBytes packet) override {
    cipher_.set_iv(packet.first(kGcmNonce));
    cipher_.decrypt(packet.subspan(kGcmNonce, packet.size() - kGcmNonce - kGcmTag));
    return cipher_.tag_is(packet.last(kGcmTag));
  }

 private:
  GcryptCipher cipher_;
};

}  // namespace

bool cpu_can(GcmPath path) {
  if (path == GcmPath::kPortable) return true;
  return cpu_features().aes_ni && cpu_features().vaes512;
}

GcmPath best_gcm_path() { return cpu_can(GcmPath::kVaes512) ? GcmPath::kVaes512 : GcmPath::kPortable; }

std::unique_ptr<GcmCipher> make_gcm(Bytes key, GcmPath path) {
  KCPTUN_CHECK(cpu_can(path) && key.size() == 16);
#if defined(__x86_64__)
  if (path == GcmPath::kVaes512) return make_vaes_gcm(key);
#endif
  return std::make_unique<GcryptGcm>(key);
}

}  // namespace kcptun
