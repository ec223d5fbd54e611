// Who may look at the status.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/status/http.h"

namespace kcptun {

/// By the address that the status is served on:
/// * with a token, every request must say it: "Authorization: Bearer TOKEN", or "?token=TOKEN";
/// * on loopback the Host field must name loopback: a foreign page whose name was made to mean 127.0.0.1 (DNS
/// rebinding)
///   has another one. Where the address is not loopback the token keeps such a page out; no browser reaches a
///   unix socket by a name.
class StatusAccess {
 public:
  enum class Place : std::uint8_t { kLoopback, kNetwork, kUnixSocket };
  StatusAccess(Place place, std::string token) : place_(place), token_(std::move(token)) {}

  /// What to answer instead; none if the request may be answered.
  std::optional<HttpResponse> refuse(const HttpRequest& request) const;

 private:
  bool says_token(const HttpRequest& request) const;

  const Place place_;
  const std::string token_;
};

/// "localhost", "127.1.2.3" or "[::1]", with or without a port.
bool names_loopback(std::string_view host);
/// The first value of `name` in a query, percent-decoded; none if it isn't there.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace kcptun
