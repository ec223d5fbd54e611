// Forwards as users write them: "tcp://127.0.0.1:5432=tcp://db.internal:5432", "socks5://127.0.0.1:1080".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/profile.h"
#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

/// "tcp" to "tproxy": what stands in front of "://".
std::string_view scheme_of(ForwardKind kind);

/// "tcp://127.0.0.1:80" in its two parts. Nothing without "://".
struct SchemedAddress {
  std::string_view scheme;
  std::string_view address;
};
std::optional<SchemedAddress> split_scheme(std::string_view text);

/// "LISTEN=TARGET", or "LISTEN" for a kind whose targets the application names. Each side is
/// SCHEME://ADDRESS; addresses are those of parse_address(). The first '=' separates them. The error is a
/// predicate: "has no target: ...".
Result<Forward> parse_forward(std::string_view text);

/// As parse_forward() takes it again.
std::string to_text(const Forward& forward);
/// Its left side: "tcp://127.0.0.1:5432".
std::string listen_text(const Forward& forward);

/// True if localaddr is closed unless set: there are forwards or reverse forwards.
bool has_other_entrances(const Settings& settings);

/// Where a tunnel listens: localaddr or listen, each forward with its target, and each reverse forward, with
/// commas between.
std::string local_text(const Profile& profile);

/// The forwards of `settings` into `profile`, or the first complaint. REQUIRES: the profile has its
/// local_address.
std::optional<ValidationError> read_forwards(const Settings& settings, Profile& profile);

}  // namespace kcptun
