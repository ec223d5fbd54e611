#include "daemon/engine/dial_policy.h"

#include <algorithm>

#include "core/proxy/address_class.h"
#include "daemon/net/address.h"

namespace kcptun {
namespace {

bool covers_name(const DialRule& rule, std::string_view name) {
  if (name.empty()) return false;
  if (rule.kind == DialRule::Kind::kName) return rule.name == name;
  return rule.kind == DialRule::Kind::kPattern && matches_pattern(rule.name, name);
}

bool allows(const DialRule& rule, const NamedTarget& target, const IpAddress& address) {
  if (!rule.applies_to(target.protocol, target.port)) return false;
  const auto special = special_network(address);
  switch (rule.kind) {
    case DialRule::Kind::kAny:
    case DialRule::Kind::kPublic:
      return !special;
    case DialRule::Kind::kPattern:
      return !special && covers_name(rule, target.name);
    case DialRule::Kind::kName:
      return covers_name(rule, target.name);
    case DialRule::Kind::kNetwork:
      return rule.network.contains(address) && (!special || special->contains(rule.network));
  }
  return false;
}

bool denies(const DialRule& rule, const NamedTarget& target, const IpAddress& address) {
  if (!rule.applies_to(target.protocol, target.port)) return false;
  switch (rule.kind) {
    case DialRule::Kind::kAny:
      return true;
    case DialRule::Kind::kPublic:
      return !special_network(address);
    case DialRule::Kind::kPattern:
    case DialRule::Kind::kName:
      return covers_name(rule, target.name);
    case DialRule::Kind::kNetwork:
      break;
  }
  const auto embedded = embedded_ipv4(address);
  return rule.network.contains(address) || (embedded && rule.network.contains(*embedded));
}

bool may_allow(const DialRule& rule, const NamedTarget& target) {
  if (!rule.applies_to(target.protocol, target.port)) return false;
  const bool by_name = rule.kind == DialRule::Kind::kName || rule.kind == DialRule::Kind::kPattern;
  return !by_name || covers_name(rule, target.name);
}

bool denies_name(const DialRule& rule, const NamedTarget& target) {
  if (!rule.applies_to(target.protocol, target.port)) return false;
  return rule.kind == DialRule::Kind::kAny || covers_name(rule, target.name);
}

bool is_in_host_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/// Whether the name is in the form that rules are compared with. A resolver takes other spellings for the
/// same name: it decodes "\100b.example", and "db.example.." ends like "db.example.".
bool is_plain_name(std::string_view name) {
  return std::ranges::all_of(name, is_in_host_name) && !name.starts_with('.') && !name.ends_with('.') &&
         name.find("..") == name.npos;
}

}  // namespace

NamedTarget::NamedTarget(const Socks5Address& destination, DialProtocol over)
    : name(comparable_name(destination.name)),
      address(destination.endpoint),
      port(destination.port()),
      protocol(over) {
  if (!destination.is_name()) return;
  const auto literal = name.empty() ? std::nullopt : parse_ip(name, port);
  if (!literal) return;
  address = *literal;
  name.clear();
}

bool DialPolicy::may_resolve(const NamedTarget& target) const {
  if (ends_in_number(target.name) || !is_plain_name(target.name)) return false;
  return std::ranges::any_of(rules_.allow, [&](const DialRule& rule) { return may_allow(rule, target); }) &&
         std::ranges::none_of(rules_.deny, [&](const DialRule& rule) { return denies_name(rule, target); });
}

bool DialPolicy::permits(const NamedTarget& target, const IpEndpoint& address) const {
  return std::ranges::any_of(rules_.allow,
                             [&](const DialRule& rule) { return allows(rule, target, address.ip); }) &&
         std::ranges::none_of(rules_.deny,
                              [&](const DialRule& rule) { return denies(rule, target, address.ip); });
}

// Goes back to the last '*' only: an earlier one needs no more characters than the first match gave it.
bool matches_pattern(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, behind_star = pattern.npos, retry = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      behind_star = ++p;
      retry = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p, ++n;
    } else if (behind_star != pattern.npos) {
      p = behind_star;
      n = ++retry;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

}  // namespace kcptun
