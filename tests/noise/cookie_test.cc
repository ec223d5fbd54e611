// Cookies (docs/develop/protocol.md section 15, "Under load").
#include "core/noise/cookie.h"

#include <catch2/catch.hpp>
#include <vector>

namespace kcptun::cookie_test {
using namespace kcptun::noise;

namespace {

SecretKey key(std::uint8_t first) {
  SecretKey out;
  out.writable()[0] = first;
  return out;
}

IpEndpoint address(std::uint8_t host, std::uint16_t port) {
  IpEndpoint out;
  out.ip[15] = host;
  out.port = port;
  return out;
}

const std::vector<std::uint8_t> kMessage1(48, 0x31);
const Asked kAsked{77, kMessage1};
const CookieNonce kNonce{5, 6, 7};

}  // namespace

TEST_CASE("a cookie belongs to one secret, address and port") {
  const Cookie cookie = make_cookie(key(1), address(9, 400));
  CHECK(cookie == make_cookie(key(1), address(9, 400)));
  CHECK(cookie != make_cookie(key(2), address(9, 400)));
  CHECK(cookie != make_cookie(key(1), address(8, 400)));
  CHECK(cookie != make_cookie(key(1), address(9, 401)));
}

TEST_CASE("a cookie's packet opens for the hello that it answers, and for no other") {
  const Cookie cookie = make_cookie(key(1), address(9, 400));
  const CookiePacket packet = seal_cookie(key(3), kAsked, kNonce, cookie);
  STATIC_REQUIRE(kCookiePacketSize == 72);
  CHECK(open_cookie(key(3), kAsked, packet) == cookie);
  CHECK_FALSE(open_cookie(key(4), kAsked, packet));
  CHECK_FALSE(open_cookie(key(3), {78, kMessage1}, packet));
  std::vector<std::uint8_t> other = kMessage1;
  other.back() ^= 1;
  CHECK_FALSE(open_cookie(key(3), {77, other}, packet));
}

TEST_CASE("a changed or cut cookie packet does not open") {
  const CookiePacket packet = seal_cookie(key(3), kAsked, kNonce, Cookie{});
  for (std::size_t i = 0; i < packet.size(); ++i) {
    CookiePacket changed = packet;
    changed[i] ^= 1;
    CHECK_FALSE(open_cookie(key(3), kAsked, changed));
    CHECK_FALSE(open_cookie(key(3), kAsked, Bytes(packet).first(i)));
  }
}

}  // namespace kcptun::cookie_test
