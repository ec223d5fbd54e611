// Application bytes moved through the tunnel.
#pragma once

#include <cstdint>

namespace kcptun {

/// Payload bytes at this end, exact: without framing, compression or retransmission.
struct Traffic {
  std::uint64_t sent = 0;      // read from local connections and datagrams
  std::uint64_t received = 0;  // written to local connections and datagrams
  void add(const Traffic& other) {
    sent += other.sent;
    received += other.received;
  }
  std::uint64_t total() const { return sent + received; }
};

}  // namespace kcptun
