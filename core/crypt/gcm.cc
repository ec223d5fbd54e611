#include "core/crypt/gcm.h"

#include "core/base/check.h"
#include "core/crypt/cpu.h"
#include "core/crypt/gcm_vaes.h"
#include "core/crypt/libraries.h"

namespace kcptun {
namespace {

class GcryptGcm final : public GcmCipher {
 public:
  explicit GcryptGcm(Bytes key)
      : cipher_(key.size() == 16 ? GCRY_CIPHER_AES128 : GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_GCM, key) {}

  void seal(Nonce nonce, Bytes associated, MutableBytes message) override {
    begin(nonce, associated);
    cipher_.encrypt(message.first(message.size() - kGcmTag));
    cipher_.get_tag(message.last(kGcmTag));
  }
  bool open(Nonce nonce, Bytes associated, MutableBytes message) override {
    begin(nonce, associated);
    cipher_.decrypt(message.first(message.size() - kGcmTag));
    return cipher_.tag_is(message.last(kGcmTag));
  }

 private:
  void begin(Nonce nonce, Bytes associated) {
    cipher_.set_iv({nonce, kGcmNonce});
    if (!associated.empty()) cipher_.authenticate(associated);
  }

  GcryptCipher cipher_;
};

}  // namespace

bool cpu_can(GcmPath path) {
  if (path == GcmPath::kPortable) return true;
  return cpu_features().aes_ni && cpu_features().vaes512;
}

GcmPath best_gcm_path() { return cpu_can(GcmPath::kVaes512) ? GcmPath::kVaes512 : GcmPath::kPortable; }

std::unique_ptr<GcmCipher> make_gcm(Bytes key, GcmPath path) {
  KCPTUN_CHECK(cpu_can(path) && (key.size() == 16 || key.size() == 32));
#if defined(__x86_64__)
  if (path == GcmPath::kVaes512) return make_vaes_gcm(key);
#endif
  return std::make_unique<GcryptGcm>(key);
}

}  // namespace kcptun
