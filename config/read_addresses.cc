#include "config/read_addresses.h"

#include <algorithm>
#include <utility>

#include "config/address.h"
#include "config/forwards.h"
#include "config/reverses.h"
#include "config/text.h"

namespace kcptun {
namespace {

using enum OptionId;
using Check = std::optional<ValidationError>;

// Length of a status-token in characters: the minimum resists guessing, the maximum fits in a request line.
constexpr std::size_t kMinToken = 16;
constexpr std::size_t kMaxToken = 256;

constexpr std::string_view kNotWithTcp = "cannot be with tcp, whose sockets are raw ones";

AddressUse use_of(OptionId id) {
  switch (id) {
    case kLocalAddr:
    case OptionId::kStatus:
      return AddressUse::kStreamListen;
    case kListen:
      return AddressUse::kDatagramListen;
    case kRemoteAddr:
      return AddressUse::kDatagramDial;
    default:
      return AddressUse::kStreamDial;
  }
}

Check read_address(const Settings& settings, OptionId id, Address& to) {
  auto address = parse_address(settings.text(id), use_of(id));
  if (!address) return ValidationError{id, address.error()};
  to = std::move(address.value());
  return std::nullopt;
}

// Entries are separated by commas, which no host contains.
Check read_servers(const Settings& settings, Profile& profile) {
  const std::string& text = settings.text(kRemoteAddr);
  if (text.find(',') == text.npos) {
    if (auto bad = read_address(settings, kRemoteAddr, profile.remote)) return bad;
    profile.servers = {std::get<HostPort>(profile.remote)};
    return std::nullopt;
  }
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string entry(without_blanks(std::string_view(text).substr(begin, end - begin)));
    const auto address = parse_address(entry, AddressUse::kDatagramDial);
    if (!address)
      return ValidationError{kRemoteAddr, "names \"" + printable(entry) + "\", which " + address.error()};
    const HostPort& server = std::get<HostPort>(address.value());
    if (std::ranges::find(profile.servers, server) != profile.servers.end())
      return ValidationError{kRemoteAddr, "names \"" + printable(entry) + "\" twice"};
    if (profile.servers.size() == kMaxServers)
      return ValidationError{kRemoteAddr, "names more than " + std::to_string(kMaxServers) + " servers"};
    profile.servers.push_back(server);
    begin = end + 1;
  }
  profile.remote = profile.servers.front();
  return std::nullopt;
}

bool is_socket_file(const Address& address) {
  const auto* path = std::get_if<UnixPath>(&address);
  return path && path->path.front() != '@';
}

// A socket file has permissions; an abstract name and a port have none.
Check read_local_access(const Settings& settings, Profile& profile) {
  const std::string& mode = settings.text(kLocalMode);
  profile.local_group = settings.text(kLocalGroup);
  const bool is_file = (profile.listens_at_local_address && is_socket_file(profile.local_address)) ||
                       std::ranges::any_of(profile.forwards, is_socket_file, &Forward::listen);
  for (const OptionId id : {kLocalMode, kLocalGroup})
    if (!settings.text(id).empty() && !is_file)
      return ValidationError{id, "needs a unix socket's path in localaddr or a forward"};
  if (mode.empty()) return std::nullopt;
  constexpr std::size_t kMaxDigits = 4;
  if (mode.size() > kMaxDigits || mode.find_first_not_of("01234567") != mode.npos ||
      std::stoul(mode, nullptr, 8) > 0777)
    return ValidationError{kLocalMode, "must be permissions in octal, 0 to 0777"};
  profile.local_mode = static_cast<std::uint32_t>(std::stoul(mode, nullptr, 8));
  return std::nullopt;
}

/// Reads the target and the rules for requested targets.
Check read_target(const Settings& settings, Profile& profile) {
  for (const auto& [id, rules] :
       {std::pair{kAllow, &profile.dial_rules.allow}, std::pair{kDeny, &profile.dial_rules.deny}}) {
    auto parsed = parse_dial_rules(settings.text(id));
    if (!parsed) return ValidationError{id, parsed.error()};
    *rules = std::move(parsed.value());
  }
  auto listens = parse_listen_rules(settings.text(kAllowListen));
  if (!listens) return ValidationError{kAllowListen, listens.error()};
  profile.listen_rules = std::move(listens.value());
  profile.target_is_request = without_blanks(settings.text(kTarget)) == kRequestTarget;
  const bool has_header = settings.text(kProxyProtocol) != choices_of(kProxyProtocol).front();
  if (!profile.target_is_request) return read_address(settings, kTarget, profile.remote);
  if (profile.dial_rules.allow.empty())
    return ValidationError{kTarget, "needs allow, or nothing can be reached: for example --allow public:443"};
  if (!has_header) return std::nullopt;
  return ValidationError{kProxyProtocol,
                         "needs one target, not socks5: other targets would not expect a header"};
}

// The daemon checks whether this machine has the address and the interface.
Check read_uplink(const Settings& settings, Profile& profile) {
  profile.bind_address = without_blanks(settings.text(kBind));
  profile.interface = without_blanks(settings.text(kInterface));
  profile.fwmark = static_cast<std::uint32_t>(settings.number(kFwmark));
  constexpr std::size_t kMaxInterface = 15;  // IFNAMSIZ is 16 and includes the NUL
  if (!profile.bind_address.empty() && !parse_ip_literal(profile.bind_address))
    return ValidationError{kBind, "must be an IPv4 or IPv6 address like 192.0.2.7 or 2001:db8::7"};
  if (profile.interface.size() > kMaxInterface || profile.interface.find('/') != std::string::npos)
    return ValidationError{kInterface, "must be an interface's name of at most 15 bytes, like eth0"};
  if (!settings.on(kTcp)) return std::nullopt;
  if (!profile.bind_address.empty()) return ValidationError{kBind, std::string(kNotWithTcp)};
  if (!profile.interface.empty()) return ValidationError{kInterface, std::string(kNotWithTcp)};
  if (profile.fwmark != 0) return ValidationError{kFwmark, std::string(kNotWithTcp)};
  if (settings.number(kHop) != 0) return ValidationError{kHop, std::string(kNotWithTcp)};
  return std::nullopt;
}

// Recognises literals, and "localhost". The daemon checks other names again after resolving them.
bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
}

Check check_status_token(const std::string& token) {
  if (token.empty()) return std::nullopt;
  if (token.size() < kMinToken || token.size() > kMaxToken) {
    return ValidationError{kStatusToken, "must have " + std::to_string(kMinToken) + ".." +
                                             std::to_string(kMaxToken) + " characters"};
  }
  // The characters that may follow "Bearer" (RFC 6750 section 2.1). All but "+" and "/" need no escapes in a
  // URL.
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
  if (token.find_first_not_of(kAllowed) != token.npos) {
    return ValidationError{kStatusToken, "must be of letters, digits and -._~+/="};
  }
  return std::nullopt;
}

Check read_status(const Settings& settings, Profile& profile) {
  const std::string& text = settings.text(OptionId::kStatus);
  profile.status_token = settings.text(kStatusToken);
  if (auto bad = check_status_token(profile.status_token)) return bad;
  if (text.empty()) return std::nullopt;
  Address address;
  if (auto bad = read_address(settings, OptionId::kStatus, address)) return bad;
  if (auto* host = std::get_if<HostPort>(&address)) {
    if (host->host.empty()) host->host = "127.0.0.1";  // other addresses must be configured explicitly
    if (profile.status_token.empty() && !is_loopback(host->host)) {
      return ValidationError{OptionId::kStatus, "is not loopback, so it needs a status-token"};
    }
  }
  profile.status = std::move(address);
  return std::nullopt;
}

}  // namespace

std::optional<ValidationError> read_addresses(const Settings& settings, Profile& profile) {
  const bool client = settings.role() == Role::kClient;
  profile.listens_at_local_address =
      !client || !settings.text(kLocalAddr).empty() || !has_other_entrances(settings);
  if (profile.listens_at_local_address)
    if (auto bad = read_address(settings, client ? kLocalAddr : kListen, profile.local_address)) return bad;
  if (client)
    if (auto bad = read_forwards(settings, profile)) return bad;
  if (client)
    if (auto bad = read_reverses(settings, profile)) return bad;
  if (client)
    if (auto bad = read_uplink(settings, profile)) return bad;
  if (auto bad = client ? read_servers(settings, profile) : read_target(settings, profile)) return bad;
  if (client)
    if (auto bad = read_local_access(settings, profile)) return bad;
  return read_status(settings, profile);
}

}  // namespace kcptun
