#include <string_view>

#include "core/base/check.h"
#include "core/crypt/libraries.h"

namespace kcptun {
namespace {

bool start_gcrypt() {
  // Other code in the process may have initialised the library.
  if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P)) return true;
  if (!gcry_check_version("1.10.0")) return false;
  // Secure memory would be a small locked pool. Ordinary memory is also wiped on close.
  gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
  gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
  return true;
}

void must(gcry_error_t error) { KCPTUN_CHECK(error == 0); }

}  // namespace

void prepare_gcrypt() {
  static const bool started = start_gcrypt();
  KCPTUN_CHECK(started);
}

bool library_has_arm_aes() {
  prepare_gcrypt();
  char* const features = gcry_get_config(0, "hwflist");  // "hwflist:arm-neon:arm-aes:..."
  if (!features) return false;
  const std::string_view text(features);
  const bool has = text.find(":arm-aes:") != text.npos && text.find(":arm-pmull:") != text.npos;
  gcry_free(features);
  return has;
}

GcryptCipher::GcryptCipher(int algorithm, int mode, Bytes key) {
  prepare_gcrypt();
  must(gcry_cipher_open(&handle_, algorithm, mode, 0));
  // The Go peers accept weak DES keys (one password in 2^50). When they are allowed, libgcrypt still returns
  // an error but sets the key.
  must(gcry_cipher_ctl(handle_, GCRYCTL_SET_ALLOW_WEAK_KEY, nullptr, 1));
  set_key(key);
}

void GcryptCipher::set_key(Bytes key) {
  const gcry_error_t error = gcry_cipher_setkey(handle_, key.data(), key.size());
  KCPTUN_CHECK(error == 0 || gcry_err_code(error) == GPG_ERR_WEAK_KEY);
}

void GcryptCipher::set_counter(Bytes counter) {
  must(gcry_cipher_setctr(handle_, counter.data(), counter.size()));
}
void GcryptCipher::authenticate(Bytes associated) {
  must(gcry_cipher_authenticate(handle_, associated.data(), associated.size()));
}
void GcryptCipher::set_iv(Bytes iv) { must(gcry_cipher_setiv(handle_, iv.data(), iv.size())); }
void GcryptCipher::encrypt(MutableBytes b) {
  must(gcry_cipher_encrypt(handle_, b.data(), b.size(), nullptr, 0));
}
void GcryptCipher::decrypt(MutableBytes b) {
  must(gcry_cipher_decrypt(handle_, b.data(), b.size(), nullptr, 0));
}
void GcryptCipher::decrypt(MutableBytes out, Bytes in) {
  must(gcry_cipher_decrypt(handle_, out.data(), out.size(), in.data(), in.size()));
}
void GcryptCipher::get_tag(MutableBytes tag) { must(gcry_cipher_gettag(handle_, tag.data(), tag.size())); }
bool GcryptCipher::tag_is(Bytes tag) { return gcry_cipher_checktag(handle_, tag.data(), tag.size()) == 0; }

}  // namespace kcptun
