// Sockets with buffers beyond the system's limit, kept for a process that has dropped its privileges.
#include "daemon/net/socket_reserve.h"

#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <exception>
#include <string>
#include <thread>

#include "daemon/net/address.h"
#include "daemon/net/socket_options.h"
#include "daemon/net/udp_socket.h"
#include "tests/support/left_out.h"

namespace kcptun::socket_reserve_test {
namespace {

/// More than the system grants to any process.
int wanted_bytes() {
  constexpr int kMaxBuffer = 1 << 28;
  return std::max(grantable_buffer(SO_RCVBUF, kMaxBuffer), grantable_buffer(SO_SNDBUF, kMaxBuffer)) + 65536;
}

/// Runs `before`, then `later` without CAP_NET_ADMIN, both on the same new thread.
template <typename Before, typename Later>
void with_lost_privilege(Before before, Later later) {
  std::string refusal;
  std::exception_ptr failure;
  std::thread([&] {
    const FileDescriptor probe(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!set_option(probe.get(), SOL_SOCKET, SO_RCVBUFFORCE, wanted_bytes())) {
      refusal = std::strerror(errno);
      return;
    }
    before();
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    try {
      REQUIRE(syscall(SYS_capset, &header, none) == 0);
      later();
    } catch (...) {  // a REQUIRE that failed
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
  if (!refusal.empty()) test::left_out("namespaces", refusal);  // namespaces need the same capability
}

TEST_CASE("a session dialled after the privilege is gone has the buffers of the first, again and again") {
  const int wanted = wanted_bytes();
  SocketReserve reserve(wanted);
  UdpSocket::Options options;
  options.buffer_bytes = wanted;
  Result<UdpSocket> server = UdpSocket::bind(parse_ip("127.0.0.1", 0).value(), options);
  REQUIRE(server);
  with_lost_privilege([&] { reserve.fill(AF_INET, 2); },
                      [&] {
                        CHECK(reserve.size() == 2);
                        CHECK_FALSE(reserve.take(AF_INET6).valid());
                        std::uint16_t port = 0;
                        for (int session = 0; session < 5; ++session) {
                          Result<UdpSocket> socket =
                              UdpSocket::connect(server->local(), options, reserve.take(AF_INET));
                          REQUIRE(socket);
                          CHECK(socket->receive_buffer_bytes() == wanted);
                          CHECK(socket->send_buffer_bytes() == wanted);
                          CHECK(socket->local().port != port);  // each session has its own port
                          port = socket->local().port;
                          reserve.reclaim(socket->fd());
                          CHECK(reserve.size() == 2);
                        }
                        // A socket opened now has no larger buffers and is not kept.
                        Result<UdpSocket> plain = UdpSocket::connect(server->local(), options);
                        REQUIRE(plain);
                        CHECK(plain->receive_buffer_bytes() < wanted);
                        reserve.reclaim(plain->fd());
                        CHECK(reserve.size() == 2);
                      });
}

TEST_CASE(
    "what asks for its buffers again without the privilege keeps what it has, and shrinks when less is "
    "wanted") {
  const int wanted = wanted_bytes();
  UdpSocket::Options options;
  options.buffer_bytes = wanted;
  Result<UdpSocket> socket = UdpSocket::bind(parse_ip("127.0.0.1", 0).value(), options);
  REQUIRE(socket);
  with_lost_privilege([] {},
                      [&] {
                        socket->set_buffers(wanted);
                        CHECK(socket->receive_buffer_bytes() == wanted);
                        socket->set_buffers(2 * wanted);
                        CHECK(socket->receive_buffer_bytes() == wanted);
                        socket->set_buffers(65536);
                        CHECK(socket->receive_buffer_bytes() == 65536);
                      });
}

TEST_CASE("a reserve keeps no more than its bound, and nothing where nothing was asked for") {
  SocketReserve reserve(wanted_bytes());
  reserve.fill(AF_INET, 1000);
  CHECK((reserve.size() == SocketReserve::kMaxSockets || reserve.size() == 0));
  SocketReserve none(0);
  none.fill(AF_INET, 10);
  CHECK(none.size() == 0);
}

}  // namespace
}  // namespace kcptun::socket_reserve_test
