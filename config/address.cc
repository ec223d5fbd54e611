#include "config/address.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <utility>

#include "config/settings.h"
#include "config/text.h"
#include "config/whole_number.h"

namespace kcptun {
namespace {

bool allows_path(AddressUse use) {
  return use == AddressUse::kStreamListen || use == AddressUse::kStreamDial;
}
bool allows_range(AddressUse use) {
  return use == AddressUse::kDatagramListen || use == AddressUse::kDatagramDial;
}
bool allows_any_port(AddressUse use) {
  return use == AddressUse::kStreamListen || use == AddressUse::kDatagramListen;
}

bool is_digits(std::string_view text) { return text.find_first_not_of("0123456789") == text.npos; }

bool is_ipv4(std::string_view text) {
  return text.find('.') != text.npos && text.find_first_not_of("0123456789.") == text.npos;
}

bool looks_like_path(std::string_view text) { return text.front() == '@' || text.find('/') != text.npos; }

/// The error for a URL, as a predicate. It quotes only the scheme, because the rest may contain a secret.
std::string url_fault(std::string_view scheme, AddressUse use) {
  if (scheme == "kcptun") return "is a pairing string, which belongs to -c";
  if (scheme == "unix") return "begins with unix:; write the path alone";
  if (scheme == "udp" && use == AddressUse::kStreamDial)
    return "asks for UDP, and a tunnel carries TCP: write host:port of a TCP service";
  return "is a URL: write host:port without " + printable(scheme).append(kSchemeEnd);
}

/// Recognises common mistakes and returns the error as a predicate. Returns "" for other text.
std::string common_mistake(std::string_view text, AddressUse use) {
  if (text.front() == '@') return {};
  if (is_digits(text)) return "has no host and no colon: write :" + std::string(text);
  if (text.starts_with("unix:/")) return url_fault("unix", use);
  if (const auto end = text.find(kSchemeEnd); end != text.npos) return url_fault(text.substr(0, end), use);
  if (is_ipv4(text)) return "has no port";
  const auto slash = text.find('/');
  const auto colon = text.find(':');
  const bool port_and_path = slash != text.npos && colon != text.npos && colon > 0 && colon + 1 < slash &&
                             text.front() != '.' && is_digits(text.substr(colon + 1, slash - colon - 1));
  return port_and_path ? "has a path behind its port; write host:port" : "";
}

Result<Address> parse_path(std::string_view text) {
  if (text.size() > kMaxUnixPath) {
    return Error{"is longer than 107 bytes, the most that a unix socket's path can have"};
  }
  return Address{UnixPath{std::string(text)}};
}

struct Service {
  std::string_view name;
  std::uint16_t port;
};
/// The services that Go's resolver has built in, for machines without /etc/services.
constexpr std::array<Service, 11> kServices{{{"domain", 53},
                                             {"ftp", 21},
                                             {"ftps", 990},
                                             {"http", 80},
                                             {"https", 443},
                                             {"imaps", 993},
                                             {"pop3", 110},
                                             {"pop3s", 995},
                                             {"smtp", 25},
                                             {"ssh", 22},
                                             {"telnet", 23}}};

bool is_stream(AddressUse use) { return use == AddressUse::kStreamListen || use == AddressUse::kStreamDial; }

/// RFC 6335 section 5.1: at most 15 letters, digits and hyphens, with at least one letter.
bool may_be_service(std::string_view text) {
  const auto in_name = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; };
  return !text.empty() && text.size() <= 15 && std::ranges::all_of(text, in_name) &&
         std::ranges::any_of(text, [](unsigned char c) { return std::isalpha(c) != 0; });
}

std::optional<std::uint16_t> service_port(std::string_view text, AddressUse use) {
  if (!may_be_service(text)) return std::nullopt;
  const auto row = std::ranges::find(kServices, text, &Service::name);
  if (row != kServices.end()) return row->port;
  std::array<char, 4096> memory;
  servent entry{};
  servent* found = nullptr;
  const char* protocol = is_stream(use) ? "tcp" : "udp";
  if (::getservbyname_r(std::string(text).c_str(), protocol, &entry, memory.data(), memory.size(), &found) !=
          0 ||
      !found)
    return std::nullopt;
  return ntohs(static_cast<std::uint16_t>(found->s_port));
}

struct SplitAddress {
  std::string_view host;
  std::string_view ports;
};

Result<SplitAddress> split_bracketed(std::string_view text) {
  const auto close = text.find(']');
  if (close == text.npos) return Error{"has no closing ]"};
  if (close + 1 == text.size() || text[close + 1] != ':') return Error{"has no port after the ]"};
  return SplitAddress{text.substr(1, close - 1), text.substr(close + 2)};
}

Result<SplitAddress> split_host_port(std::string_view text) {
  if (text.front() == '[') return split_bracketed(text);
  const auto colon = text.rfind(':');
  if (colon == text.npos) return Error{"has no port"};
  if (text.find(':') != colon) {
    return Error{"has more than one colon; an IPv6 address goes in brackets, like [::1]:29900"};
  }
  return SplitAddress{text.substr(0, colon), text.substr(colon + 1)};
}

bool is_bad_host_byte(char c) {
  return static_cast<unsigned char>(c) <= ' ' || c == '[' || c == ']' || c == '/';
}

Result<Address> with_ports(const SplitAddress& split, AddressUse use) {
  if (const auto port = service_port(split.ports, use))
    return Address{HostPort{std::string(split.host), *port, *port}};
  if (may_be_service(split.ports))
    return Error{"has a port that is neither a number in 1..65535 nor a service of this machine"};
  const auto dash = split.ports.find('-');
  const auto first = whole_number<std::uint16_t>(without_blanks(split.ports.substr(0, dash)));
  const auto last = dash == split.ports.npos
                        ? first
                        : whole_number<std::uint16_t>(without_blanks(split.ports.substr(dash + 1)));
  if (!first || !last) return Error{"has a port that is not a number in 1..65535"};
  if (dash != split.ports.npos && !allows_range(use))
    return Error{"has a port range where only one port can be used"};
  if (*first > *last) return Error{"has a port range that runs backwards"};
  if (*first == 0 && (*last != 0 || !allows_any_port(use))) return Error{"has port 0"};
  return Address{HostPort{std::string(split.host), *first, *last}};
}

}  // namespace

Result<Address> parse_address(std::string_view given, AddressUse use) {
  const auto text = without_blanks(given);
  if (text.empty()) return Error{"is empty"};
  if (auto reason = common_mistake(text, use); !reason.empty()) return Error{std::move(reason)};
  if (text.find("\uff1a") != text.npos)
    return Error{"has a full-width colon (U+FF1A): write an ordinary one"};
  if (allows_path(use) && looks_like_path(text)) return parse_path(text);
  if (allows_path(use) && text.find(':') == text.npos)
    return Error{"has no port; the path of a unix socket has a slash, like ./" + printable(text)};
  auto split = split_host_port(text);
  if (!split) return Error{split.error()};
  split->host = without_blanks(split->host);
  split->ports = without_blanks(split->ports);
  if (std::ranges::any_of(split->host, is_bad_host_byte)) {
    return Error{"has a host with a character that no host has"};
  }
  return with_ports(*split, use);
}

std::optional<IpAddress> parse_ip_literal(const std::string& text) {
  IpAddress address{};
  if (::inet_pton(AF_INET6, text.c_str(), address.data()) == 1) return address;
  std::ranges::copy(kIpv4MappedPrefix, address.begin());
  if (::inet_pton(AF_INET, text.c_str(), &address[kIpv4MappedPrefix.size()]) == 1) return address;
  return std::nullopt;
}

std::string to_text(const Address& address) {
  if (const auto* path = std::get_if<UnixPath>(&address)) return path->path;
  const HostPort& host = std::get<HostPort>(address);
  const bool no_colon = host.host.find(':') == std::string::npos;
  std::string text(no_colon ? "" : "[");
  text.append(host.host).append(no_colon ? ":" : "]:").append(std::to_string(host.port_min));
  if (host.is_range()) text.append("-").append(std::to_string(host.port_max));
  return text;
}

std::string remote_text(const Profile& profile) {
  if (profile.target_is_request) return std::string(kRequestTarget);
  if (profile.servers.empty()) return to_text(profile.remote);
  std::string text;
  for (const HostPort& server : profile.servers) text.append(text.empty() ? "" : ",").append(to_text(server));
  return text;
}

std::string dialled_host(const HostPort& address) {
  return address.host.empty() ? "localhost" : address.host;
}

}  // namespace kcptun
