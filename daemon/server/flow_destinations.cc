#include "daemon/server/flow_destinations.h"

#include <utility>

namespace kcptun {
namespace {

constexpr std::uint16_t kDnsPort = 53;

}  // namespace

FlowDestinations::Answer FlowDestinations::find(const Socks5Address& address) {
  if (address.is_name()) return find_name(address);
  if (!contains(address.endpoint) && !admit(address, address.endpoint)) return refuse();
  return {State::kKnown, address.endpoint};
}

FlowDestinations::Answer FlowDestinations::refuse() {
  ++refused_;
  return {};
}

bool FlowDestinations::admit(const Socks5Address& target, const IpEndpoint& endpoint) {
  if (endpoint.port == 0 || endpoints_.size() >= kMaxDestinations || !policy_.permits(target, endpoint))
    return false;
  only_dns_ = only_dns_ && endpoint.port == kDnsPort;
  endpoints_.insert(endpoint);
  return true;
}

FlowDestinations::Answer FlowDestinations::find_name(const Socks5Address& address) {
  const auto key = std::pair(address.name, address.port());
  auto known = names_.find(key);
  if (known == names_.end()) {
    if (names_.size() >= kMaxDestinations || lookups_ >= kMaxLookups || !policy_.may_resolve(address))
      return refuse();
    known = names_.try_emplace(key).first;
    Name& name = known->second;
    name.address = address;
    ++lookups_;
    name.lookup = std::make_unique<NameLookup>(
        engine_.uv(), address.name, address.port(),
        [this, &name](NameLookup::Addresses addresses) { handle_resolved(name, std::move(addresses)); });
  }
  if (known->second.state == State::kRefused) return refuse();
  return {known->second.state, known->second.endpoint};
}

FlowDestinations::~FlowDestinations() {
  for (auto& [key, name] : names_) end_lookup(name);
}

void FlowDestinations::end_lookup(Name& name) {
  if (!name.lookup) return;
  name.lookup.reset();
  --lookups_;
}

void FlowDestinations::handle_resolved(Name& name, NameLookup::Addresses addresses) {
  end_lookup(name);
  name.state = State::kRefused;
  if (addresses) {
    for (const IpEndpoint& endpoint : *addresses) {
      if (!contains(endpoint) && !admit(name.address, endpoint)) continue;
      name.state = State::kKnown;
      name.endpoint = endpoint;
      break;
    }
  }
  resolved_();
}

}  // namespace kcptun
