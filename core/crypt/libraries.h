// Initialises libgcrypt once, and owns libgcrypt cipher handles.
#pragma once

#include <gcrypt.h>

#include <cstdint>
#include <span>

#include "core/base/bytes.h"
#include "core/base/sodium.h"

namespace kcptun {

/// Thread-safe, and cheap after the first call. Aborts if the library fails to start.
void prepare_gcrypt();

/// True if the library uses an ARM CPU's instructions for AES and GCM.
bool library_has_arm_aes();

/// A libgcrypt cipher with its key. The library wipes the key schedule on close. Failures abort: with a fixed
/// table of algorithms and key sizes they mean a bug or a broken libgcrypt.
class GcryptCipher {
 public:
  GcryptCipher(int algorithm, int mode, Bytes key);
  ~GcryptCipher() { gcry_cipher_close(handle_); }
  GcryptCipher(const GcryptCipher&) = delete;
  GcryptCipher& operator=(const GcryptCipher&) = delete;

  void set_key(Bytes key);
  void set_iv(Bytes iv);
  void set_counter(Bytes counter);
  /// Associated data, before the first byte of text. Not empty.
  void authenticate(Bytes associated);
  void encrypt(MutableBytes in_place);
  void decrypt(MutableBytes in_place);
  /// REQUIRES: `out` and `in` have the same size and do not overlap.
  void decrypt(MutableBytes out, Bytes in);
  void get_tag(MutableBytes tag);
  /// True if the tag is correct. Constant time.
  bool tag_is(Bytes tag);

 private:
  gcry_cipher_hd_t handle_ = nullptr;
};

}  // namespace kcptun
