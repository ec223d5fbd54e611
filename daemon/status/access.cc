#include "daemon/status/access.h"

#include <sodium.h>
#include <strings.h>

#include <array>
#include <charconv>

#include "daemon/net/address.h"

namespace kcptun {
namespace {

constexpr std::string_view kBearer = "Bearer ";

using Digest = std::array<unsigned char, crypto_generichash_BYTES>;

Digest digest_of(std::string_view text) {
  Digest digest;
  crypto_generichash(digest.data(), digest.size(), reinterpret_cast<const unsigned char*>(text.data()),
                     text.size(), nullptr, 0);
  return digest;
}

// Compares digests, so that the time depends neither on the position of a difference nor on the lengths.
bool same_secret(std::string_view a, std::string_view b) {
  const Digest one = digest_of(a), other = digest_of(b);
  return sodium_memcmp(one.data(), other.data(), one.size()) == 0;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

bool names_loopback(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  const bool has_port = colon != host.npos && host.find(']', colon) == host.npos;
  std::string_view name = host.substr(0, has_port ? colon : host.npos);
  if (name.size() == 9 && strncasecmp(name.data(), "localhost", 9) == 0) return true;
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
  if (name.empty()) return false;
  const std::optional<IpEndpoint> address = parse_ip(name, 0);
  return address && is_loopback(*address);
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return percent_decoded(pair.substr(name.size() + 1));
    if (end == query.npos) break;
    query.remove_prefix(end + 1);
  }
  return std::nullopt;
}

bool StatusAccess::says_token(const HttpRequest& request) const {
  if (request.authorizations.size() > 1) return false;
  if (request.authorizations.size() == 1) {
    const std::string_view value = request.authorizations.front();
    const bool bearer =
        value.size() > kBearer.size() && strncasecmp(value.data(), kBearer.data(), kBearer.size()) == 0;
    return bearer && same_secret(value.substr(kBearer.size()), token_);
  }
  const std::optional<std::string> said = query_value(request.query, "token");
  return said && same_secret(*said, token_);
}

std::optional<HttpResponse> StatusAccess::refuse(const HttpRequest& request) const {
  if (request.hosts.size() > 1) return HttpResponse{.status = 400, .body = "more than one Host field\n"};
  if (place_ == Place::kLoopback && (request.hosts.empty() || !names_loopback(request.hosts.front())))
    return HttpResponse{.status = 421,
                        .body = "the Host field must name loopback, like localhost or 127.0.0.1\n"};
  if (!token_.empty() && !says_token(request))
    return HttpResponse{.status = 401,
                        .body = "say the status-token: Authorization: Bearer TOKEN, or ?token=TOKEN\n",
                        .more_fields = "WWW-Authenticate: Bearer realm=\"kcptun status\"\r\n"};
  return std::nullopt;
}

}  // namespace kcptun
