// Parses and prints forwards: "tcp://127.0.0.1:5432=tcp://db.internal:5432", "socks5://127.0.0.1:1080".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/profile.h"
#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

/// The scheme of a kind: "tcp", ..., "tproxy".
std::string_view scheme_of(ForwardKind kind);

/// "tcp://127.0.0.1:80" in its two parts. Nothing without "://".
struct SchemedAddress {
  std::string_view scheme;
  std::string_view address;
};
std::optional<SchemedAddress> split_scheme(std::string_view text);

/// Parses "LISTEN=TARGET", or "LISTEN" if the application requests the targets. Each side is
/// SCHEME://ADDRESS; addresses are those of parse_address(). The first '=' separates them. The error is a
/// predicate: "has no target: ...".
Result<Forward> parse_forward(std::string_view text);

/// The text that parse_forward() accepts.
std::string to_text(const Forward& forward);
/// The listening side: "tcp://127.0.0.1:5432".
std::string listen_text(const Forward& forward);

/// True if localaddr is closed unless set: there are forwards or reverse forwards.
bool has_other_entrances(const Settings& settings);

/// The listening addresses of a tunnel, separated by commas: localaddr or listen, then each forward, then
/// each reverse forward.
std::string local_text(const Profile& profile);

/// Writes the forwards of `settings` into `profile`, or returns the first error. REQUIRES: `profile` has its
/// local_address.
std::optional<ValidationError> read_forwards(const Settings& settings, Profile& profile);

}  // namespace kcptun
