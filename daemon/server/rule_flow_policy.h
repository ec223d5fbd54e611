// The rules of a profile, for flows.
#pragma once

#include "config/dial_rules.h"
#include "daemon/engine/dial_policy.h"
#include "daemon/server/flow_policy.h"

namespace kcptun {

/// Asks DialPolicy. `rules` outlives the policy and may change between calls: a flow keeps the destinations
/// that it has.
class RuleFlowPolicy final : public FlowPolicy {
 public:
  explicit RuleFlowPolicy(const DialRules& rules) : rules_(rules) {}

  bool may_resolve(const Socks5Address& name) const override {
    const NamedTarget target(name, DialProtocol::kUdp);
    return !target.is_name() || DialPolicy(rules_).may_resolve(target);
  }
  bool permits(const Socks5Address& target, const IpEndpoint& address) const override {
    return DialPolicy(rules_).permits(NamedTarget(target, DialProtocol::kUdp), address);
  }

 private:
  const DialRules& rules_;
};

}  // namespace kcptun
