#include "core/link/link_context.h"

#include <catch2/catch.hpp>

#include "core/fec/fec_header.h"
#include "core/link/path_mtu.h"

namespace kcptun::test::link_context_test {
namespace {

LinkSettings settings_with(FecSettings fec, std::uint32_t mtu, bool find_mtu = false) {
  LinkSettings settings;
  settings.fec = fec;
  settings.kcp.mtu = mtu;
  settings.kcp.find_mtu = find_mtu;
  return settings;
}

LinkContext& with_suite(LinkContext& context) {
  context.crypto_header = 20;
  context.crypto_trailer = 16;
  return context;
}

}  // namespace

TEST_CASE("a KCP packet fills the MTU beside the headers of the suite and of FEC") {
  LinkContext plain(settings_with({0, 0}, 1350));
  CHECK(kcp_packet_size(plain) == 1350);
  CHECK(kcp_packet_size(with_suite(plain)) == 1350 - 36);
  LinkContext fec(settings_with({10, 3}, 1350));
  CHECK(kcp_packet_size(with_suite(fec)) == 1350 - 36 - kFecHeader);
  CHECK(fec.overhead().crypto() == 36);
  CHECK(fec.overhead().total() == 36 + kFecHeader);
}

TEST_CASE("a KCP packet is cut for the floor while the MTU is searched, and for no more than a datagram") {
  LinkContext searching(settings_with({0, 0}, 1400, true));
  CHECK(kcp_packet_size(searching) == PathMtu::kFloor);
  LinkContext jumbo(settings_with({0, 0}, 9000));
  CHECK(kcp_packet_size(jumbo) == kMaxDatagram);
}

}  // namespace kcptun::test::link_context_test
