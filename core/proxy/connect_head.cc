#include "core/proxy/connect_head.h"

#include <charconv>
#include <optional>

#include "core/proxy/http_reply.h"

namespace kcptun {
namespace {

constexpr std::string_view kMethod = "CONNECT ";
constexpr std::string_view kHttpVersion = " HTTP/1.";

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc{} || stop != end || port == 0) return std::nullopt;
  return port;
}

/// RFC 9110 section 9.3.6: host, colon, port; an IPv6 address in brackets.
std::optional<Socks5Address> parse_authority(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == host.npos) return std::nullopt;
  } else if (host.find_first_of(":[]@/") != host.npos) {
    return std::nullopt;
  }
  return socks5_name(host, *port);
}

}  // namespace

std::variant<Socks5Address, std::vector<std::uint8_t>> parse_connect_head(std::string_view head) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  if (!line.starts_with(kMethod))
    return http_failure("405 Method Not Allowed", "this proxy serves CONNECT only", "Allow: CONNECT\r\n");
  const auto version = line.rfind(kHttpVersion);
  if (version == line.npos || version + kHttpVersion.size() + 1 != line.size() || version < kMethod.size())
    return http_failure("400 Bad Request", "the request line is not of HTTP/1.1");
  const auto target = parse_authority(line.substr(kMethod.size(), version - kMethod.size()));
  if (!target) return http_failure("400 Bad Request", "CONNECT needs host:port");
  return *target;
}

}  // namespace kcptun
