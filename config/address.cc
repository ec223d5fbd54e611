#include "config/address.h"

#include <algorithm>
#include <charconv>
#include <optional>

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

bool looks_like_path(std::string_view text) {
  return text.front() == '@' || text.find('/') != text.npos || text.find(':') == text.npos;
}

Result<Address> parse_path(std::string_view text) {
  if (text.size() > kMaxUnixPath) {
    return Error{"is longer than 107 bytes, the most that a unix socket's path can have"};
  }
  return Address{UnixPath{std::string(text)}};
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
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
  const auto dash = split.ports.find('-');
  const auto first = parse_port(split.ports.substr(0, dash));
  const auto last = dash == split.ports.npos ? first : parse_port(split.ports.substr(dash + 1));
  if (!first || !last) return Error{"has a port that is not a number in 1..65535"};
  if (dash != split.ports.npos && !allows_range(use))
    return Error{"has a port range where only one port can be used"};
  if (*first > *last) return Error{"has a port range that runs backwards"};
  if (*first == 0 && (*last != 0 || !allows_any_port(use))) return Error{"has port 0"};
  return Address{HostPort{std::string(split.host), *first, *last}};
}

}  // namespace

Result<Address> parse_address(std::string_view text, AddressUse use) {
  if (text.empty()) return Error{"is empty"};
  if (allows_path(use) && looks_like_path(text)) return parse_path(text);
  const auto split = split_host_port(text);
  if (!split) return Error{split.error()};
  if (std::ranges::any_of(split.value().host, is_bad_host_byte)) {
    return Error{"has a host with a character that no host has"};
  }
  return with_ports(split.value(), use);
}

}  // namespace kcptun
