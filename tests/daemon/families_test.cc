// Every socket that the programs open, on hosts that lack one address family.
#include <netinet/in.h>

#include "daemon/io/listener.h"
#include "daemon/net/address.h"
#include "daemon/net/faketcp/client.h"
#include "daemon/net/faketcp/firewall.h"
#include "daemon/net/faketcp/server.h"
#include "daemon/net/own_address.h"
#include "daemon/net/udp_socket.h"
#include "daemon/worker/tunnel_sockets.h"
#include "tests/daemon/missing_family.h"

namespace kcptun::families_test {
namespace {

using test::without_family;

IpEndpoint ip(const char* text, std::uint16_t port = 0) { return parse_ip(text, port).value(); }

UdpSocket::Options with_info() {
  UdpSocket::Options options;
  options.receive_info = true;
  return options;
}

template <typename T>
bool lacks_family(const Result<T>& made) {
  return !made && made.error().find("Address family not supported") != std::string::npos;
}

}  // namespace

TEST_CASE("without IPv6 the wildcard listens for TCP on IPv4 alone") {
  without_family(AF_INET6, [] {
    for (const bool share : {false, true}) {
      Result<FileDescriptor> listening = listen_tcp(ip(""), share);
      if (!listening) FAIL(listening.error());
      sockaddr_storage name{};
      socklen_t size = sizeof name;
      REQUIRE(getsockname(listening->get(), reinterpret_cast<sockaddr*>(&name), &size) == 0);
      CHECK(name.ss_family == AF_INET);
    }
    CHECK(listen_tcp(ip("127.0.0.1"), false).ok());
    CHECK(lacks_family(listen_tcp(ip("::1"), false)));
  });
}

TEST_CASE("without IPv4 the wildcard listens for TCP on IPv6") {
  without_family(AF_INET, [] {
    CHECK(listen_tcp(ip(""), false).ok());
    CHECK(listen_tcp(ip("::1"), true).ok());
    CHECK(lacks_family(listen_tcp(ip("127.0.0.1"), false)));
    CHECK(lacks_family(listen_tcp(ip("0.0.0.0"), false)));
  });
}

TEST_CASE("without a family UDP sockets are those of the other one") {
  without_family(AF_INET6, [] {
    Result<UdpSocket> any = UdpSocket::bind(ip(""), with_info());
    if (!any) FAIL(any.error());
    CHECK(is_ipv4(any->local()));
    CHECK(UdpSocket::bind(ip("127.0.0.1"), {}).ok());
    CHECK(lacks_family(UdpSocket::bind(ip("::1"), {})));
    CHECK(UdpSocket::connect(ip("127.0.0.1", 9), {}).ok());
    CHECK(lacks_family(UdpSocket::connect(ip("::1", 9), {})));
  });
  without_family(AF_INET, [] {
    CHECK(UdpSocket::bind(ip(""), with_info()).ok());
    CHECK(UdpSocket::connect(ip("::1", 9), {}).ok());
    CHECK(lacks_family(UdpSocket::bind(ip("127.0.0.1"), {})));
    CHECK(lacks_family(UdpSocket::connect(ip("127.0.0.1", 9), {})));
  });
}

TEST_CASE("a connection to an address of a missing family fails at once, with the reason") {
  without_family(AF_INET6, [] {
    CHECK_FALSE(begin_connect(ip("::1", 9)).valid());
    CHECK(errno == EAFNOSUPPORT);
    CHECK(begin_connect(ip("127.0.0.1", 9)).valid());
  });
  without_family(AF_INET, [] {
    CHECK_FALSE(begin_connect(ip("127.0.0.1", 9)).valid());
    CHECK(errno == EAFNOSUPPORT);
  });
}

TEST_CASE("of a name's addresses a listener leaves out those of a missing family") {
  without_family(AF_INET6, [] {
    CHECK(own_addresses({ip("127.0.0.1"), ip("::1")}) == std::vector{ip("127.0.0.1")});
  });
  without_family(AF_INET, [] {
    CHECK(own_addresses({ip("127.0.0.1"), ip("::1")}) == std::vector{ip("::1")});
  });
}

TEST_CASE("this machine's own address is found without a family, or is none") {
  without_family(AF_INET6, [] {
    const auto own = own_address();
    if (own) CHECK(is_ipv4(*own));
  });
  without_family(AF_INET, [] { own_address(); });
}

TEST_CASE("tcp mode needs one family only") {
  if (const auto allowed = open_tcp_mode(); !allowed) return test::left_out("tcp-mode", allowed.error());
  without_family(AF_INET6, [] {
    Result<std::unique_ptr<Firewall>> firewall = open_tcp_mode();
    if (!firewall) FAIL(firewall.error());
    auto server = FakeTcpServer::listen(ip(""), {0, 1}, {});
    if (!server) FAIL(server.error());
    CHECK(is_ipv4((*server)->local()));
    CHECK(FakeTcpClient::connect(ip("127.0.0.1", 9), {}, **firewall).ok());
    CHECK(lacks_family(FakeTcpClient::connect(ip("::1", 9), {}, **firewall)));
  });
  without_family(AF_INET, [] {
    Result<std::unique_ptr<Firewall>> firewall = open_tcp_mode();
    if (!firewall) FAIL(firewall.error());
    auto server = FakeTcpServer::listen(ip(""), {0, 1}, {});
    if (!server) FAIL(server.error());
    CHECK(FakeTcpClient::connect(ip("::1", 9), {}, **firewall).ok());
  });
}

}  // namespace kcptun::families_test
