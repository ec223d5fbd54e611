// An application's UDP socket.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daemon/net/flow_socket.h"
#include "tests/daemon/daemon_harness.h"

namespace kcptun::test {

class UdpApp {
 public:
  explicit UdpApp(bool echoes = false)
      : socket_(std::move(FlowSocket::bind(loopback()).value())), echoes_(echoes) {}
  IpEndpoint address() const { return socket_.local(); }
  void send(const IpEndpoint& to, const std::string& bytes) {
    socket_.queue(to, Bytes(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
    socket_.flush();
  }
  void step() {
    for (auto arrived = socket_.receive(arena_); !arrived.empty(); arrived = socket_.receive(arena_)) {
      for (const FlowDatagramView& datagram : arrived) {
        heard.emplace_back(datagram.payload.begin(), datagram.payload.end());
        from = datagram.from;
        if (echoes_) socket_.queue(datagram.from, datagram.payload);
      }
      socket_.flush();
    }
  }
  std::vector<std::string> heard;
  IpEndpoint from;  // of the last datagram

 private:
  FlowSocket socket_;
  FlowArena arena_;
  bool echoes_;
};

}  // namespace kcptun::test
