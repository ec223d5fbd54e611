#include "core/crypt/gcm_suite.h"

#include <cstring>

#include "core/base/check.h"

namespace kcptun {

void GcmSuite::seal(std::span<const Packet> packets) {
  for (const Packet& packet : packets) {
    KCPTUN_CHECK(packet.size >= kGcmNonce + kGcmTag);
    std::memcpy(packet.data, nonces_.next().data(), kGcmNonce);
  }
  // In a separate loop: reading a nonce that was just written in two parts would stall.
  for (const Packet& packet : packets) cipher_->seal(packet.data, {}, packet.bytes().subspan(kGcmNonce));
}

std::size_t GcmSuite::open(std::span<Packet> packets) {
  std::size_t rejected = 0;
  for (Packet& packet : packets) {
    if (packet.size >= kGcmNonce + kGcmTag &&
        cipher_->open(packet.data, {}, packet.bytes().subspan(kGcmNonce))) {
      packet = {packet.data + kGcmNonce, packet.size - static_cast<std::uint32_t>(kGcmNonce + kGcmTag)};
    } else {
      packet.size = 0;
      ++rejected;
    }
  }
  return rejected;
}

}  // namespace kcptun
