// libgcrypt and libsodium, initialised once, and a libgcrypt cipher handle with an owner.
#pragma once

#include <gcrypt.h>

#include <cstdint>
#include <span>

#include "core/base/bytes.h"

namespace kcptun {

/// Thread-safe, and cheap after the first call. Abort when the library will not start.
void prepare_gcrypt();
void prepare_sodium();

/// One libgcrypt cipher with its key; the library wipes the key schedule when it closes.
/// Failures abort: with a table of fixed algorithms and key sizes they are our fault or a broken libgcrypt.
class GcryptCipher {
 public:
  GcryptCipher(int algorithm, int mode, Bytes key);
  ~GcryptCipher() { gcry_cipher_close(handle_); }
  GcryptCipher(const GcryptCipher&) = delete;
  GcryptCipher& operator=(const GcryptCipher&) = delete;

  void set_key(Bytes key);
  void set_iv(Bytes iv);
  void set_counter(Bytes counter);
  void encrypt(MutableBytes in_place);
  void decrypt(MutableBytes in_place);
  /// REQUIRES: out and in have one size and do not overlap.
  void decrypt(MutableBytes out, Bytes in);
  void get_tag(MutableBytes tag);
  /// True when the tag is right; constant time.
  bool tag_is(Bytes tag);

 private:
  gcry_cipher_hd_t handle_ = nullptr;
};

}  // namespace kcptun
