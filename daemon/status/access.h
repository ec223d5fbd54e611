// Decides who may read the status.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/status/http.h"

namespace kcptun {

/// The rules depend on the address that the status is served on.
/// * With a token, every request must carry it: "Authorization: Bearer TOKEN" or "?token=TOKEN".
/// * On loopback, the Host field must name loopback. A foreign page that reaches 127.0.0.1 by DNS rebinding
///   sends another Host.
/// On other addresses the token keeps such a page out. No browser reaches a unix socket by a name.
class StatusAccess {
 public:
  enum class Place : std::uint8_t { kLoopback, kNetwork, kUnixSocket };
  StatusAccess(Place place, std::string token) : place_(place), token_(std::move(token)) {}

  /// Returns the response to send instead, or nothing if the request may be answered.
  std::optional<HttpResponse> refuse(const HttpRequest& request) const;

 private:
  bool says_token(const HttpRequest& request) const;

  const Place place_;
  const std::string token_;
};

/// True for "localhost", "127.1.2.3" or "[::1]", with or without a port.
bool names_loopback(std::string_view host);
/// The first value of `name` in a query, percent-decoded; nothing if the query lacks it.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace kcptun
