// The datagram channel of one end of a session: unreliable, beside the streams
// (docs/develop/protocol.md section 13).
#pragma once

#include <cstdint>

#include "core/kcp/kcp.h"
#include "core/link/datagram_queue.h"
#include "core/link/datagram_receiver.h"

namespace kcptun {

/// Exists from the session's first datagram on.
struct DatagramChannel {
  explicit DatagramChannel(Kcp& kcp) : outgoing(kcp), incoming(kcp.conv()) {}

  DatagramQueue outgoing;
  DatagramReceiver incoming;
  std::uint64_t unmatched = 0;  // datagrams that arrived for no open stream
};

}  // namespace kcptun
