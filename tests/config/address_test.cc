#include "config/address.h"

#include <catch2/catch.hpp>

namespace kcptun::address_test {
namespace {

constexpr auto kAnyUse = {AddressUse::kStreamListen, AddressUse::kDatagramListen, AddressUse::kDatagramDial,
                          AddressUse::kStreamDial};

HostPort host_port(std::string_view text, AddressUse use) {
  const auto address = parse_address(text, use);
  INFO(text);
  REQUIRE(address.ok());
  REQUIRE(std::holds_alternative<HostPort>(address.value()));
  return std::get<HostPort>(address.value());
}

std::string fault(std::string_view text, AddressUse use) {
  const auto address = parse_address(text, use);
  INFO(text);
  REQUIRE_FALSE(address.ok());
  return address.error();
}

TEST_CASE("A host and a port are understood for every use") {
  struct Row {
    std::string_view text, host;
    std::uint16_t port;
  };
  for (const auto& row :
       {Row{":12948", "", 12948}, Row{"vps:29900", "vps", 29900}, Row{"[::1]:29900", "::1", 29900},
        Row{"[fe80::1%eth0]:29900", "fe80::1%eth0", 29900}, Row{"1.2.3.4:1", "1.2.3.4", 1},
        Row{"[::]:65535", "::", 65535}}) {
    for (const auto use : kAnyUse)
      CHECK(host_port(row.text, use) == HostPort{std::string(row.host), row.port, row.port});
  }
}

TEST_CASE("A port range is for datagram sockets alone") {
  for (const auto use : {AddressUse::kDatagramListen, AddressUse::kDatagramDial}) {
    CHECK(host_port("host:3000-3100", use) == HostPort{"host", 3000, 3100});
    CHECK(host_port("[::1]:1-65535", use) == HostPort{"::1", 1, 65535});
    CHECK_FALSE(host_port("host:3000-3000", use).is_range());
    CHECK(fault("host:3100-3000", use) == "has a port range that runs backwards");
    CHECK(fault("host:0-10", use) == "has port 0");
    CHECK(fault("host:1-65536", use) == "has a port that is not a number in 1..65535");
    CHECK(fault("host:1-", use) == "has a port that is not a number in 1..65535");
    CHECK(fault("host:1-2-3", use) == "has a port that is not a number in 1..65535");
  }
  for (const auto use : {AddressUse::kStreamListen, AddressUse::kStreamDial}) {
    CHECK(fault("host:3000-3100", use) == "has a port range where only one port can be used");
  }
}

TEST_CASE("Port 0 is for listeners alone") {
  CHECK(host_port(":0", AddressUse::kStreamListen).port_min == 0);
  CHECK(host_port(":0", AddressUse::kDatagramListen).port_min == 0);
  CHECK(fault("h:0", AddressUse::kStreamDial) == "has port 0");
  CHECK(fault("h:0", AddressUse::kDatagramDial) == "has port 0");
}

TEST_CASE("What has a slash or a leading @ is a unix path where one is allowed") {
  for (const auto use : {AddressUse::kStreamListen, AddressUse::kStreamDial}) {
    for (const std::string path :
         {"/run/x.sock", "./a:1", "./x.sock", "@abstract", "@a:1", "/a:b/c", "@a://b"}) {
      const auto address = parse_address(path, use);
      REQUIRE(address.ok());
      CHECK(std::get<UnixPath>(address.value()).path == path);
    }
    CHECK(parse_address('/' + std::string(106, 'x'), use).ok());
    CHECK(fault('/' + std::string(107, 'x'), use) ==
          "is longer than 107 bytes, the most that a unix socket's path can have");
  }
  CHECK(fault("/run/x.sock", AddressUse::kDatagramDial) == "has no port");
  CHECK(fault("/run/x.sock:1", AddressUse::kDatagramListen) ==
        "has a host with a character that no host has");
}

TEST_CASE("A word without a slash is a host that lacks its port, never a file of that name") {
  for (const auto use : {AddressUse::kStreamListen, AddressUse::kStreamDial}) {
    for (const std::string_view word : {"x.sock", "localhost", "example.net", "run"})
      CHECK(fault(word, use) ==
            "has no port; the path of a unix socket has a slash, like ./" + std::string(word));
  }
}

TEST_CASE("What has :// is never a path, whatever its scheme looks like") {
  for (const auto use : kAnyUse) {
    CHECK(fault("h_t://127.0.0.1:8080", use) == "is a URL: write host:port without h_t://");
    CHECK(fault("127.0.0.1://x", use) == "is a URL: write host:port without 127.0.0.1://");
    CHECK(fault("./a://b", use) == "is a URL: write host:port without ./a://");
    CHECK(fault("://x", use) == "is a URL: write host:port without ://");
  }
}

TEST_CASE("Blanks around an address, its host and its port do not count") {
  for (const auto use : kAnyUse) {
    for (const std::string_view text :
         {" h:1", "h:1 ", "\th:1\r\n", "h :1", "h: 1", " h : 1 ", "\u3000h:1\u00a0", "\ufeffh:1"})
      CHECK(host_port(text, use) == HostPort{"h", 1, 1});
  }
  CHECK(host_port(" h:1 - 5 ", AddressUse::kDatagramDial) == HostPort{"h", 1, 5});
  CHECK(std::get<UnixPath>(parse_address(" /run/x ", AddressUse::kStreamDial).value()).path == "/run/x");
  CHECK(fault("h o:1", AddressUse::kStreamDial) == "has a host with a character that no host has");
}

TEST_CASE("A port may be a service's name") {
  for (const auto use : kAnyUse) {
    CHECK(host_port(":http", use) == HostPort{"", 80, 80});
    CHECK(host_port("[::1]:https", use) == HostPort{"::1", 443, 443});
    CHECK(host_port("h:domain", use) == HostPort{"h", 53, 53});
  }
  CHECK(fault("h:http-https", AddressUse::kDatagramDial).starts_with("has a port that is neither"));
  CHECK(fault("h:sixteen-letters-", AddressUse::kStreamDial) ==
        "has a port that is not a number in 1..65535");
}

TEST_CASE("What is written in an address's place and is none is refused with the reason") {
  struct Row {
    std::string_view text, fault;
  };
  // Each but the kcptun:// one was taken for a unix path where one is allowed.
  for (const auto& row :
       {Row{"http://h:1", "is a URL: write host:port without http://"},
        Row{"https://h/", "is a URL: write host:port without https://"},
        Row{" tcp://127.0.0.1:80 ", "is a URL: write host:port without tcp://"},
        Row{"kcptun://v1/AAAA", "is a pairing string, which belongs to -c"},
        Row{"unix:///run/x", "begins with unix:; write the path alone"},
        Row{"unix:/run/x", "begins with unix:; write the path alone"},
        Row{"h:80/path", "has a path behind its port; write host:port"},
        Row{"12948", "has no host and no colon: write :12948"}, Row{"192.0.2.1", "has no port"},
        Row{"h\uff1a80", "has a full-width colon (U+FF1A): write an ordinary one"}}) {
    for (const auto use : kAnyUse) CHECK(fault(row.text, use) == row.fault);
  }
  CHECK(fault("udp://8.8.8.8:53", AddressUse::kStreamDial) ==
        "asks for UDP, and a tunnel carries TCP: write host:port of a TCP service");
  CHECK(fault("udp://8.8.8.8:53", AddressUse::kDatagramDial) == "is a URL: write host:port without udp://");
}

TEST_CASE("A malformed address is refused with its fault") {
  for (const auto use : kAnyUse) {
    for (const std::string_view blank : {"", " ", "\t\r\n", "\u00a0"}) CHECK(fault(blank, use) == "is empty");
    CHECK(fault("::1:80", use) ==
          "has more than one colon; an IPv6 address goes in brackets, like [::1]:29900");
    CHECK(fault("[::1:80", use) == "has no closing ]");
    CHECK(fault("[::1]", use) == "has no port after the ]");
    CHECK(fault("[::1]80:1", use) == "has no port after the ]");
    CHECK(fault("host:", use) == "has a port that is not a number in 1..65535");
    CHECK(fault("host:no-such-service", use) ==
          "has a port that is neither a number in 1..65535 nor a service of this machine");
    CHECK(fault("host:65536", use) == "has a port that is not a number in 1..65535");
    CHECK(fault("host:+80", use) == "has a port that is not a number in 1..65535");
    CHECK(fault("ho st:80", use) == "has a host with a character that no host has");
    CHECK(fault(std::string_view("h\0t:80", 6), use) == "has a host with a character that no host has");
  }
  CHECK(fault("vps", AddressUse::kDatagramDial) == "has no port");
}

}  // namespace
}  // namespace kcptun::address_test
