// Rules about the targets that clients of a server may name (--allow, --deny).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ip_network.h"
#include "core/base/result.h"

namespace kcptun {

enum class DialProtocol : std::uint8_t { kTcp, kUdp };

struct DialRule {
  enum class Kind : std::uint8_t {
    kAny,      // "*"
    kPublic,   // "public"
    kName,     // a host name
    kPattern,  // a host name with '*', which stands for any characters, or none
    kNetwork,  // an address or a network
  };

  Kind kind = Kind::kAny;
  std::string name;   // of a kName or kPattern: lower case, without a final dot
  IpNetwork network;  // of a kNetwork
  std::uint16_t port_min = 0;
  std::uint16_t port_max = 65535;
  bool tcp = true;
  bool udp = true;

  bool applies_to(DialProtocol protocol, std::uint16_t port) const {
    return (protocol == DialProtocol::kTcp ? tcp : udp) && port >= port_min && port <= port_max;
  }
  bool operator==(const DialRule&) const = default;
};

/// DialPolicy (daemon/engine) documents what they mean.
struct DialRules {
  std::vector<DialRule> allow;  // empty: nothing is allowed
  std::vector<DialRule> deny;
  bool operator==(const DialRules&) const = default;
};

/// The most rules in each of the two lists. Each request compares them all; 256 take microseconds.
inline constexpr std::size_t kMaxDialRules = 256;

/// `[tcp/|udp/]HOST[:PORT[-PORT]]`. An IPv6 address or network with a port stands in brackets. The error is a
/// predicate: "has a port that is not a number in 1..65535".
Result<DialRule> parse_dial_rule(std::string_view text);
/// Entries with commas between. The error names the entry. Empty text has no rules.
Result<std::vector<DialRule>> parse_dial_rules(std::string_view text);

/// A host name as rules and requests are compared: lower case, without one final dot.
std::string comparable_name(std::string_view name);
/// True if the last label of the name begins as a number does. Such text is an IPv4 address or a mistake, for
/// programs differ in what they take it for ("0x7f.1", "2130706433", "0177.0.0.1").
bool ends_in_number(std::string_view name);

}  // namespace kcptun
