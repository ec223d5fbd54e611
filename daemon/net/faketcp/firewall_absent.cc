// In place of firewall.cc in a program without libnftables (KCPTUN_NFTABLES=OFF): no firewall opens, so that
// tcp mode ends at the start with this error and nothing else of the class is ever reached.
#include "daemon/net/faketcp/firewall.h"

namespace kcptun {
namespace {

constexpr const char* kAbsent = "this program was built without libnftables, which tcp mode needs";

}  // namespace

bool is_stale_table(std::string_view) { return false; }

FirewallRule::~FirewallRule() = default;

void Firewall::FreeContext::operator()(nft_ctx*) const {}

Firewall::~Firewall() = default;

Result<std::unique_ptr<Firewall>> Firewall::open(Owner) { return Error{kAbsent}; }

Result<std::vector<FirewallRule>> Firewall::suppress_kernel_segments_of(std::uint16_t, std::uint16_t) {
  return Error{kAbsent};
}

Result<FirewallRule> Firewall::suppress_kernel_segments(const IpEndpoint&, const IpEndpoint&) {
  return Error{kAbsent};
}

}  // namespace kcptun
