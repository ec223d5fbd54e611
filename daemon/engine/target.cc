#include "daemon/engine/target.h"

#include <algorithm>
#include <utility>

#include "config/address.h"
#include "daemon/net/address.h"

namespace kcptun {
namespace {

// Maximum age of the addresses of a target's name.
constexpr Duration kTargetFreshness = seconds(10);

}  // namespace

Target::Target(Engine& engine, Address address, std::vector<IpEndpoint> addresses)
    : engine_(engine), address_(std::move(address)), addresses_(std::move(addresses)) {}

void Target::replace(Address address, std::vector<IpEndpoint> addresses) {
  address_ = std::move(address);
  addresses_ = std::move(addresses);
  last_reached_.reset();
  lookup_.reset();
  early_log_.reset();
  fresh_until_ = {};
  alive_ = std::make_shared<bool>(true);
  for (const Waiting& one : std::exchange(waiting_, {}))
    if (one.alive.lock()) dial(*one.dialer);
}

void Target::dial(Dialer& dialer) {
  if (const auto* path = std::get_if<UnixPath>(&address_)) return dialer.start(*path);
  look_up(engine_.now());
  if (!addresses_.empty()) return start(dialer);
  waiting_.push_back({&dialer, dialer.alive()});
}

bool Target::is_name() const {
  const auto* host = std::get_if<HostPort>(&address_);
  return host && !parse_ip(dialled_host(*host), host->port_min);
}

void Target::look_up_early(EventLog log) {
  if (!is_name() || !addresses_.empty()) return;
  early_log_ = log;
  look_up(engine_.now());
}

// Runs in the background. While no address is known, each new connection triggers a lookup.
void Target::look_up(TimePoint now) {
  if (lookup_ || (!addresses_.empty() && (now < fresh_until_ || !is_name()))) return;
  const HostPort& target = std::get<HostPort>(address_);
  fresh_until_ = now + kTargetFreshness;
  lookup_ = std::make_unique<NameLookup>(
      engine_.uv(), dialled_host(target), target.port_min,
      [this](NameLookup::Addresses addresses) { handle_resolved(std::move(addresses)); });
}

void Target::handle_resolved(NameLookup::Addresses addresses) {
  lookup_.reset();
  if (addresses) addresses_ = std::move(*addresses);
  if (const auto log = std::exchange(early_log_, std::nullopt); log && addresses_.empty())
    log->warning("the target's name cannot be resolved yet; each connection tries again",
                 {{"error", addresses.error()}});
  if (last_reached_ && std::ranges::find(addresses_, *last_reached_) == addresses_.end())
    last_reached_.reset();
  for (const Waiting& one : std::exchange(waiting_, {})) {
    if (!one.alive.lock()) continue;
    if (addresses_.empty()) {
      one.dialer->fail(addresses.error());
    } else {
      start(*one.dialer);
    }
  }
}

void Target::start(Dialer& dialer) {
  dialer.start(in_order(), [this, alive = std::weak_ptr<bool>(alive_)](const IpEndpoint& address) {
    if (alive.lock()) last_reached_ = address;
  });
}

std::vector<IpEndpoint> Target::in_order() const {
  std::vector<IpEndpoint> addresses = addresses_;
  if (!last_reached_) return addresses;
  const auto known = std::ranges::find(addresses, *last_reached_);
  if (known != addresses.end()) std::rotate(addresses.begin(), known, known + 1);
  return addresses;
}

}  // namespace kcptun
