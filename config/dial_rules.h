// Parses the rules for targets that clients may request (--allow, --deny).
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

/// Rules per list. Each request is compared with all rules, which takes microseconds for 256.
inline constexpr std::size_t kMaxDialRules = 256;

/// `[tcp/|udp/]HOST[:PORT[-PORT]]`. An IPv6 address or network with a port needs brackets. The error is a
/// predicate: "has a port that is not a number in 1..65535".
Result<DialRule> parse_dial_rule(std::string_view text);
/// Parses a list separated by commas. The error names the entry. Empty text has no rules.
Result<std::vector<DialRule>> parse_dial_rules(std::string_view text);

/// Normalises a host name for comparison: lower case, without one final dot.
std::string comparable_name(std::string_view name);
/// True if the last label begins like a number ("0x7f.1", "2130706433", "0177.0.0.1"). Programs differ on
/// which IPv4 address such text means, so it is not accepted as a name.
bool ends_in_number(std::string_view name);

}  // namespace kcptun
