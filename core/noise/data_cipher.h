// The cipher that two ends may choose in place of ChaCha20-Poly1305 (docs/develop/protocol.md section 15,
// "AES-256-GCM").
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/bytes.h"

namespace kcptun::noise {

/// AES-256-GCM with one key. As CipherState: the caller numbers the messages and never seals two with one
/// number. Wipes its key on destruction.
class DataCipher {
 public:
  virtual ~DataCipher() = default;
  /// Encrypts in place all but the last kTagSize bytes, where the tag goes. REQUIRES: kTagSize bytes or more.
  virtual void seal(std::uint64_t number, Bytes associated, MutableBytes message) = 0;
  /// Decrypts in place. If false, the tag is wrong, or there is no room for one.
  [[nodiscard]] virtual bool open(std::uint64_t number, Bytes associated, MutableBytes message) = 0;
};

/// Makes one with a key of kKeySize bytes.
using MakeDataCipher = std::unique_ptr<DataCipher> (*)(Bytes key);

}  // namespace kcptun::noise
