// Free ports of a range, with real sockets on loopback.
#include "daemon/net/port_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "daemon/net/address.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun::port_probe_test {
namespace {

using Ports = std::vector<std::uint16_t>;

/// Binds the port of 127.0.0.1. Invalid on failure.
FileDescriptor take(std::uint16_t port, PortKind kind) {
  FileDescriptor fd(::socket(AF_INET, (kind == PortKind::kUdp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) return FileDescriptor();
  if (kind == PortKind::kTcp && ::listen(fd.get(), 1) != 0) return FileDescriptor();
  return fd;
}

/// The first of four consecutive ports that are free for both kinds.
std::uint16_t four_free_ports() {
  for (std::uint16_t first = 24100; first < 24900; first = static_cast<std::uint16_t>(first + 4)) {
    bool free = true;
    for (std::uint16_t i = 0; i < 4; ++i)
      for (const PortKind kind : {PortKind::kUdp, PortKind::kTcp})
        free = free && take(static_cast<std::uint16_t>(first + i), kind).valid();
    if (free) return first;
  }
  FAIL("no four ports in a row are free");
  return 0;
}

TEST_CASE("ports that another program has are left out of a range, on every kind of address") {
  for (const PortKind kind : {PortKind::kUdp, PortKind::kTcp}) {
    const std::uint16_t first = four_free_ports();
    const auto port = [first](int i) { return static_cast<std::uint16_t>(first + i); };
    const std::array taken{take(port(0), kind), take(port(2), kind)};
    REQUIRE((taken[0].valid() && taken[1].valid()));
    for (const char* ip : {"127.0.0.1", "0.0.0.0", "::"}) {
      INFO(ip);
      CHECK(free_ports(parse_ip(ip, first).value(), port(3), kind) == Ports{port(1), port(3)});
    }
    const PortKind other = kind == PortKind::kUdp ? PortKind::kTcp : PortKind::kUdp;
    CHECK(free_ports(parse_ip("127.0.0.1", first).value(), port(3), other).size() == 4);
  }
}

TEST_CASE("a range that is taken as a whole, and a single port, are left to the binding to refuse") {
  const std::uint16_t first = four_free_ports();
  std::vector<FileDescriptor> taken;
  for (std::uint16_t i = 0; i < 4; ++i)
    taken.push_back(take(static_cast<std::uint16_t>(first + i), PortKind::kUdp));
  const auto last = static_cast<std::uint16_t>(first + 3);
  CHECK(free_ports(parse_ip("127.0.0.1", first).value(), last, PortKind::kUdp).size() == 4);
  CHECK(free_ports(parse_ip("127.0.0.1", first).value(), first, PortKind::kUdp) == Ports{first});
}

TEST_CASE("ports are told as stretches, up to the last there is") {
  CHECK(ports_text(Ports{}).empty());
  CHECK(ports_text(Ports{3}) == "3");
  CHECK(ports_text(Ports{3, 5, 6, 7, 65534, 65535}) == "3, 5-7, 65534-65535");
}

}  // namespace
}  // namespace kcptun::port_probe_test
