#include "daemon/net/flow_socket.h"

#include <netinet/udp.h>

#include <catch2/catch.hpp>
#include <vector>

#include "daemon/net/socket_options.h"

namespace kcptun::flow_socket_test {

namespace {

IpEndpoint loopback() {
  IpEndpoint address;
  address.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
  return address;
}

FlowSocket bound(FlowSocket::Options options) {
  return std::move(FlowSocket::bind(loopback(), options).value());
}

// How many of ten equal datagrams, sent at once, the first receive() returns. A receive takes 8 messages.
std::size_t first_of_ten(FlowSocket::Options sends, FlowSocket::Options receives) {
  FlowSocket sender = bound(sends);
  FlowSocket receiver = bound(receives);
  const std::vector<std::uint8_t> payload(1200, 7);
  for (int i = 0; i < 10; ++i) sender.queue(receiver.local(), payload);
  sender.flush();
  CHECK(sender.counters().sent == 10);
  FlowArena arena;
  const std::size_t first = receiver.receive(arena).size();
  std::size_t all = first;
  for (auto more = receiver.receive(arena); !more.empty(); more = receiver.receive(arena)) {
    for (const FlowDatagramView& datagram : more) CHECK(datagram.payload.size() == payload.size());
    all += more.size();
  }
  CHECK(all == 10);
  return first;
}

}  // namespace

TEST_CASE("flow sockets cut and join datagrams in the kernel only where both options allow it") {
  constexpr FlowSocket::Options kOn{.offload = true};
  constexpr FlowSocket::Options kOff{.offload = false};
  CHECK(first_of_ten(kOff, kOff) == FlowArena::kMessages);
  CHECK(first_of_ten(kOff, kOn) == FlowArena::kMessages);
  CHECK(first_of_ten(kOn, kOff) == FlowArena::kMessages);
  const bool kernel_joins = get_option(bound(kOn).fd(), SOL_UDP, UDP_GRO) > 0;
  CHECK(first_of_ten(kOn, kOn) == (kernel_joins ? std::size_t{10} : std::size_t{FlowArena::kMessages}));
}

}  // namespace kcptun::flow_socket_test
