// Decides which targets the clients of a server may name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/dial_rules.h"
#include "core/base/path.h"
#include "core/proxy/socks5_address.h"

namespace kcptun {

/// A target as a client named it, in the one form in which targets are compared and resolved.
struct NamedTarget {
  /// A name that is an address, with or without a final dot, becomes that address.
  NamedTarget(const Socks5Address& destination, DialProtocol over);

  std::string name;    // see comparable_name(); "" if the target is an address
  IpEndpoint address;  // unless there is a name
  std::uint16_t port;
  DialProtocol protocol;

  bool is_name() const { return !name.empty(); }
};

/// Permits an address of a target if a rule of `allow` covers it and no rule of `deny` does. The caller
/// resolves a name once, asks about each of its addresses, and dials permitted ones only, so that a later,
/// different answer of the resolver has no effect.
///
/// A rule of `allow` covers:
/// * `*`, `public`: every address that is not special (special_network());
/// * a name with `*`: the addresses of the names that match, but no special address;
/// * a name: all addresses of this name, because the rule stands for the machine that has it;
/// * a network or an address: its addresses, whatever name has them. It covers special addresses only if it
///   lies in one special network as a whole: 10.0.0.0/8 does, and 0.0.0.0/0 does not.
///
/// A rule of `deny` covers no less: `*` every address, names and patterns all addresses of their names, and
/// networks also the NAT64 and 6to4 addresses that embed one of their IPv4 addresses.
class DialPolicy {
 public:
  /// `rules` outlives the policy.
  explicit DialPolicy(const DialRules& rules) : rules_(rules) {}

  /// False if no address could be permitted, so that the name is not resolved. REQUIRES: target.is_name().
  bool may_resolve(const NamedTarget& target) const;
  /// `address`: the target's, or one that its name resolves to.
  bool permits(const NamedTarget& target, const IpEndpoint& address) const;

 private:
  const DialRules& rules_;
};

/// True if the pattern is the whole name, where each '*' stands for any characters, or none.
bool matches_pattern(std::string_view pattern, std::string_view name);

}  // namespace kcptun
