#include "config/dial_rules.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "config/address.h"
#include "config/settings.h"
#include "config/text.h"
#include "config/whole_number.h"

namespace kcptun {
namespace {

constexpr std::size_t kMaxHostName = 253;  // of a host, without its final dot (RFC 1035 section 2.3.4)
constexpr std::uint8_t kIpv4Bits = 32;
constexpr std::uint8_t kIpv6Bits = 128;

std::optional<unsigned> parse_number(std::string_view text, unsigned max) {
  const auto number = whole_number<unsigned>(text);
  return number && *number <= max ? number : std::nullopt;
}

bool has_bits_behind(const IpNetwork& network) {
  for (unsigned bit = network.bits; bit < kIpv6Bits; ++bit)
    if (network.address[bit / 8] >> (7 - bit % 8) & 1) return true;
  return false;
}

Result<IpNetwork> parse_network(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = parse_ip_literal(std::string(text.substr(0, slash)));
  if (!address) return Error{"has no valid address before its /"};
  IpNetwork network{*address, kIpv6Bits};
  if (slash == text.npos) return network;
  const bool ipv4 = text.find(':') == text.npos;
  const auto bits = parse_number(text.substr(slash + 1), ipv4 ? kIpv4Bits : kIpv6Bits);
  if (!bits) return Error{ipv4 ? "has no prefix length in 0..32" : "has no prefix length in 0..128"};
  network.bits = static_cast<std::uint8_t>(*bits + (ipv4 ? kIpv6Bits - kIpv4Bits : 0));
  if (has_bits_behind(network)) return Error{"has address bits behind its prefix"};
  return network;
}

bool in_pattern(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '*';
}

Result<DialRule> parse_name(std::string_view text) {
  DialRule rule;
  rule.name = comparable_name(text);
  const std::string& name = rule.name;
  if (name.empty() || name.size() > kMaxHostName) return Error{"has a host that is not of 1..253 characters"};
  if (!std::ranges::all_of(name, in_pattern))
    return Error{"has a host with a character that no host has; write names beyond ASCII in their xn-- form"};
  if (name.front() == '.' || name.find("..") != name.npos) return Error{"has a host with an empty label"};
  const bool pattern = name.find('*') != name.npos;
  if (!pattern && ends_in_number(name)) return Error{"has a host that is a number but no address"};
  rule.kind = pattern ? DialRule::Kind::kPattern : DialRule::Kind::kName;
  return rule;
}

Result<DialRule> parse_host(std::string_view text, bool bracketed) {
  DialRule rule;
  if (!bracketed && text == "*") return rule;
  if (!bracketed && text == "public") {
    rule.kind = DialRule::Kind::kPublic;
    return rule;
  }
  const bool network = bracketed || text.find_first_of("/:") != text.npos;
  if (!network && !parse_ip_literal(std::string(text))) return parse_name(text);
  const auto parsed = parse_network(text);
  if (!parsed) return Error{parsed.error()};
  rule.kind = DialRule::Kind::kNetwork;
  rule.network = parsed.value();
  return rule;
}

struct SplitRule {
  std::string_view host;
  std::string_view ports;  // with its colon; "": any
  bool bracketed = false;
};

Result<SplitRule> split_rule(std::string_view text) {
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == text.npos) return Error{"has no closing ]"};
    const std::string_view rest = text.substr(close + 1);
    if (rest.empty() || rest.front() == ':') return SplitRule{text.substr(1, close - 1), rest, true};
    return Error{"has something other than a port behind its ]; a prefix length stands inside"};
  }
  const auto colon = text.rfind(':');
  const bool ipv6 = colon != text.npos && text.find(':') != colon;
  if (colon == text.npos || ipv6) return SplitRule{text, {}, false};
  return SplitRule{text.substr(0, colon), text.substr(colon), false};
}

/// `text`: "", ":PORT" or ":MIN-MAX". The error is a predicate.
std::optional<Error> read_ports(std::string_view text, DialRule& rule) {
  if (text.empty()) return std::nullopt;
  text.remove_prefix(1);
  const auto dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash), 65535);
  const auto last = dash == text.npos ? first : parse_number(text.substr(dash + 1), 65535);
  if (!first || !last || *first == 0) return Error{"has a port that is not a number in 1..65535"};
  if (*first > *last) return Error{"has a port range that runs backwards"};
  rule.port_min = static_cast<std::uint16_t>(*first);
  rule.port_max = static_cast<std::uint16_t>(*last);
  return std::nullopt;
}

}  // namespace

std::string comparable_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string lower(name);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

bool ends_in_number(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  const std::string_view label = name.substr(name.rfind('.') + 1);  // the whole name if it has no dot
  if (label.starts_with("0x") || label.starts_with("0X"))
    return label.find_first_not_of("0123456789abcdefABCDEF", 2) == label.npos;
  return !label.empty() && label.find_first_not_of("0123456789") == label.npos;
}

Result<DialRule> parse_dial_rule(std::string_view given) {
  std::string_view text = without_blanks(given);
  const bool only_tcp = text.starts_with("tcp/");
  const bool only_udp = text.starts_with("udp/");
  if (only_tcp || only_udp) text.remove_prefix(4);
  if (text.empty()) return Error{"has no host"};
  if (text.find(kSchemeEnd) != text.npos) return Error{"is a URL; write tcp/host:port"};
  const auto split = split_rule(text);
  if (!split) return Error{split.error()};
  auto rule = parse_host(split.value().host, split.value().bracketed);
  if (!rule) return rule;
  if (auto bad = read_ports(split.value().ports, rule.value())) return *bad;
  rule->tcp = !only_udp;
  rule->udp = !only_tcp;
  return rule;
}

Result<std::vector<DialRule>> parse_dial_rules(std::string_view text) {
  std::vector<DialRule> rules;
  if (text.empty()) return rules;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view entry = without_blanks(text.substr(begin, end - begin));
    auto rule = parse_dial_rule(entry);
    if (!rule) return Error{"has the rule \"" + printable(entry) + "\", which " + rule.error()};
    if (rules.size() == kMaxDialRules)
      return Error{"has more than " + std::to_string(kMaxDialRules) + " rules"};
    rules.push_back(std::move(rule.value()));
    begin = end + 1;
  }
  return rules;
}

}  // namespace kcptun
