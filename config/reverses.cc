#include "config/reverses.h"

#include <algorithm>
#include <utility>

#include "config/address.h"
#include "config/entry_list.h"
#include "config/forwards.h"
#include "config/text.h"

namespace kcptun {
namespace {

constexpr std::string_view kExample = "tcp://:8080=tcp://127.0.0.1:80";
constexpr std::string_view kTcpScheme = "tcp";
constexpr std::string_view kUnixScheme = "unix";

std::string write_one_like() { return "; write one like " + std::string(kExample); }

Result<HostPort> parse_listen(std::string_view text) {
  const auto side = split_scheme(text);
  if (!side || side->scheme != kTcpScheme) return Error{"does not begin with tcp://" + write_one_like()};
  const auto address = parse_address(side->address, AddressUse::kStreamListen);
  if (!address) return Error{"listens at an address that " + address.error()};
  const auto* host = std::get_if<HostPort>(&address.value());
  if (!host) return Error{"listens at a path; the server listens at ports only"};
  if (host->is_range()) return Error{"listens at an address that has a port range"};
  if (host->port_min == 0) return Error{"listens at an address that has port 0"};
  if (!host->host.empty() && !parse_ip_literal(host->host))
    return Error{"listens at a name; write an address of the server, or none for all"};
  return *host;
}

Result<Address> parse_target(std::string_view text) {
  const auto side = split_scheme(text);
  if (!side || (side->scheme != kTcpScheme && side->scheme != kUnixScheme))
    return Error{"has a target that begins neither with tcp:// nor with unix://" + write_one_like()};
  auto address = parse_address(side->address, AddressUse::kStreamDial);
  if (!address) return Error{"has a target that " + address.error()};
  const bool path = std::holds_alternative<UnixPath>(address.value());
  if (path != (side->scheme == kUnixScheme))
    return Error{path ? "has a target that is a path, which begins with unix://"
                      : "has no path behind unix://"};
  const auto* host = std::get_if<HostPort>(&address.value());
  if (host && host->is_range()) return Error{"has a target that has a port range"};
  return address;
}

// "*" may stand in a rule, ":8080" may not: it would look like an omission.
std::optional<Error> fault_of(const DialRule& rule, std::string_view text) {
  if (text.starts_with("tcp/") || text.starts_with("udp/"))
    return Error{"begins with a protocol; only TCP can be listened on"};
  if (rule.kind == DialRule::Kind::kAny || rule.kind == DialRule::Kind::kNetwork) return std::nullopt;
  return Error{"has no address of this server; write one like 127.0.0.1:8080, or *:8080 for all"};
}

}  // namespace

Result<Reverse> parse_reverse(std::string_view given) {
  const auto text = without_blanks(given);
  if (text.empty()) return Error{"is empty"};
  const auto equals = text.find('=');
  auto listen = parse_listen(without_blanks(text.substr(0, equals)));
  if (!listen) return Error{listen.error()};
  if (equals == text.npos) return Error{"has no target" + write_one_like()};
  auto target = parse_target(without_blanks(text.substr(equals + 1)));
  if (!target) return Error{target.error()};
  return Reverse{std::move(listen.value()), std::move(target.value())};
}

std::string listen_text(const Reverse& reverse) {
  return std::string(kTcpScheme).append(kSchemeEnd).append(to_text(Address{reverse.listen}));
}

std::string target_text(const Reverse& reverse) {
  const bool path = std::holds_alternative<UnixPath>(reverse.target);
  return std::string(path ? kUnixScheme : kTcpScheme).append(kSchemeEnd).append(to_text(reverse.target));
}

std::string to_text(const Reverse& reverse) { return listen_text(reverse) + '=' + target_text(reverse); }

std::optional<ValidationError> read_reverses(const Settings& settings, Profile& profile) {
  return read_entries(
      settings, OptionId::kReverse, [&profile](const std::string& entry) -> std::optional<std::string> {
        if (profile.reverses.size() == kMaxReverses)
          return "is one more than " + std::to_string(kMaxReverses) + " reverse forwards";
        auto reverse = parse_reverse(entry);
        if (!reverse) return reverse.error();
        if (std::ranges::find(profile.reverses, reverse->listen, &Reverse::listen) != profile.reverses.end())
          return "listens where another reverse forward does";
        profile.reverses.push_back(std::move(reverse.value()));
        return std::nullopt;
      });
}

Result<std::vector<DialRule>> parse_listen_rules(std::string_view text) {
  auto rules = parse_dial_rules(text);
  if (!rules) return rules;
  std::size_t begin = 0;
  for (const DialRule& rule : rules.value()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view entry = without_blanks(text.substr(begin, end - begin));
    if (const auto fault = fault_of(rule, entry))
      return Error{"has the rule \"" + printable(entry) + "\", which " + fault->message};
    begin = end + 1;
  }
  return rules;
}

bool may_listen(const std::vector<DialRule>& rules, const IpEndpoint& address) {
  return std::ranges::any_of(rules, [&address](const DialRule& rule) {
    return rule.applies_to(DialProtocol::kTcp, address.port) &&
           (rule.kind == DialRule::Kind::kAny || rule.network.contains(address.ip));
  });
}

}  // namespace kcptun
