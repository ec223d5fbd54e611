// Any text as an address, for each use.
#include "config/address.h"
#include "core/base/check.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  using enum AddressUse;
  for (const AddressUse use : {kStreamListen, kDatagramListen, kDatagramDial, kStreamDial}) {
    const Result<Address> address = parse_address(text, use);
    if (!address) {
      KCPTUN_CHECK(!address.error().empty());
      continue;
    }
    const bool datagram = use == kDatagramListen || use == kDatagramDial;
    const bool dialled = use == kDatagramDial || use == kStreamDial;
    if (const auto* path = std::get_if<UnixPath>(&address.value())) {
      KCPTUN_CHECK(!datagram && !path->path.empty() && path->path.size() <= kMaxUnixPath);
      continue;
    }
    const auto& host = std::get<HostPort>(address.value());
    KCPTUN_CHECK(host.port_min <= host.port_max && (datagram || !host.is_range()));
    KCPTUN_CHECK(!dialled || host.port_min > 0);
    KCPTUN_CHECK(host.host.find('\0') == std::string::npos);
  }
  return 0;
}
