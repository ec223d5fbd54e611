// The header before each body in a suite with session ids (docs/develop/protocol.md section 11): the packet's
// session, its number and its time. Encrypted and authenticated together with the body.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/settings.h"

namespace kcptun {

/// session u64 | counter u64, its top bit the direction | time u32
inline constexpr std::size_t kSessionHeader = 20;

struct SessionHeader {
  std::uint64_t session = 0;  // random, chosen by the client
  std::uint64_t counter = 0;  // number of this end's packet in this session, from 0; below 2^63
  Role from = Role::kClient;  // the sender
  std::uint32_t time = 0;     // from a client: seconds since 1970; from a server: 0
};

inline constexpr std::uint64_t kFromServer = std::uint64_t{1} << 63;

/// REQUIRES: kSessionHeader bytes.
inline void write_session_header(std::uint8_t* to, const SessionHeader& header) {
  store_u64(to, header.session);
  store_u64(to + 8, header.counter | (header.from == Role::kServer ? kFromServer : 0));
  store_u32(to + 16, header.time);
}
inline SessionHeader read_session_header(const std::uint8_t* from) {
  const std::uint64_t counter = load_u64(from + 8);
  return {load_u64(from), counter & ~kFromServer, counter & kFromServer ? Role::kServer : Role::kClient,
          load_u32(from + 16)};
}

}  // namespace kcptun
