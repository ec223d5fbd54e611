// The destinations of one UDP flow.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/proxy/socks5_address.h"
#include "daemon/engine/engine.h"
#include "daemon/io/name_lookup.h"
#include "daemon/server/flow_policy.h"

namespace kcptun {

/// Turns the address of a datagram into an endpoint that the policy allows. A name is resolved once, and its
/// first allowed address is used for the flow's life. Bounds: kMaxDestinations addresses and names, and
/// kMaxLookups lookups at a time of all flows of a worker; a datagram that would need one more is refused.
class FlowDestinations {
 public:
  /// Of one flow. An application that talks to more peers, as file sharing does, reaches the first so many.
  static constexpr std::size_t kMaxDestinations = 256;
  /// As of requests: RequestTotals::kMaxLookups.
  static constexpr std::size_t kMaxLookups = 128;

  enum class State : std::uint8_t { kKnown, kResolving, kRefused };
  struct Answer {
    State state = State::kRefused;
    IpEndpoint endpoint;  // kKnown
  };
  using Resolved = std::function<void()>;

  /// All references outlive the object. `lookups` counts those of the worker that are in progress. `resolved`
  /// is called when a name has an answer.
  FlowDestinations(Engine& engine, const FlowPolicy& policy, std::size_t& lookups, Resolved resolved)
      : engine_(engine), policy_(policy), lookups_(lookups), resolved_(std::move(resolved)) {}
  ~FlowDestinations();
  FlowDestinations(const FlowDestinations&) = delete;
  FlowDestinations& operator=(const FlowDestinations&) = delete;

  Answer find(const Socks5Address& address);
  /// True if the flow has sent to the endpoint: its answers are the flow's.
  bool contains(const IpEndpoint& endpoint) const { return endpoints_.contains(endpoint); }
  /// Ports other than 53 were used.
  bool only_dns() const { return only_dns_; }
  std::uint64_t refused() const { return refused_; }

 private:
  struct Name {
    State state = State::kResolving;
    IpEndpoint endpoint;
    Socks5Address address;
    std::unique_ptr<NameLookup> lookup;
  };

  bool admit(const Socks5Address& target, const IpEndpoint& endpoint);
  Answer refuse();
  Answer find_name(const Socks5Address& address);
  void handle_resolved(Name& name, NameLookup::Addresses addresses);
  void end_lookup(Name& name);

  Engine& engine_;
  const FlowPolicy& policy_;
  std::size_t& lookups_;
  Resolved resolved_;
  std::set<IpEndpoint> endpoints_;
  std::map<std::pair<std::string, std::uint16_t>, Name> names_;
  bool only_dns_ = true;
  std::uint64_t refused_ = 0;  // datagrams
};

}  // namespace kcptun
