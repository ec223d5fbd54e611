#include "core/link/link_context.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/fec/fec_header.h"
#include "core/kcp/segment.h"
#include "core/link/path_mtu.h"

namespace kcptun {

LinkContext::LinkContext(const LinkSettings& link_settings) : settings(link_settings) {}

void LinkContext::set_overhead(const Suite& suite) {
  crypto_header = suite.header_size();
  crypto_trailer = suite.trailer_size();
  session_header = suite.session_header_size();
  credentials = suite.credentials();
}

PacketOverhead LinkContext::overhead() const {
  return {crypto_header, crypto_trailer, settings.fec.enabled() ? kFecHeader : 0};
}

void LinkContext::trim() {
  inflated.reset();
  segments.trim();
  blocks.trim();
}

std::size_t kcp_packet_size(const LinkContext& context) {
  const KcpSettings& kcp = context.settings.kcp;
  const std::size_t mtu = std::min<std::size_t>(kcp.find_mtu ? PathMtu::kFloor : kcp.mtu, kMaxDatagram);
  const std::size_t overhead = context.overhead().total();
  KCPTUN_CHECK(mtu > overhead + kSegmentHeader);
  return mtu - overhead;
}

}  // namespace kcptun
