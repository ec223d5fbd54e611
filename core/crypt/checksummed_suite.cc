#include "core/crypt/checksummed_suite.h"

#include <cstring>

#include "core/base/check.h"
#include "core/crypt/crc32.h"

namespace kcptun {

void ChecksummedSuite::seal(std::span<const Packet> packets) {
  for (const Packet& packet : packets) {
    KCPTUN_CHECK(packet.size >= kHeader);
    std::memcpy(packet.data, nonces_.next().data(), kNonce);
    store_u32(packet.data + kNonce, crc32(packet.bytes().subspan(kHeader)));
  }
  cipher_->encrypt(packets);
}

std::size_t ChecksummedSuite::open(std::span<Packet> packets) {
  // Every cipher skips a packet of size 0, so rejected packets need no separate list.
  for (Packet& packet : packets)
    if (packet.size < kHeader) packet.size = 0;
  cipher_->decrypt(packets);

  std::size_t rejected = 0;
  for (Packet& packet : packets) {
    if (packet.size == 0 || load_u32(packet.data + kNonce) != crc32(packet.bytes().subspan(kHeader))) {
      packet.size = 0;
      ++rejected;
      continue;
    }
    packet = {packet.data + kHeader, packet.size - static_cast<std::uint32_t>(kHeader)};
  }
  return rejected;
}

}  // namespace kcptun
