// Reverse forwards as users write them ("tcp://:8080=tcp://127.0.0.1:80"), and the server's rules about where
// it may listen for them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/profile.h"
#include "config/settings.h"
#include "core/base/path.h"
#include "core/base/result.h"

namespace kcptun {

/// "LISTEN=TARGET". LISTEN is tcp://HOST:PORT with an address or nothing as the host, TARGET is
/// tcp://HOST:PORT or unix:///PATH. The error is a predicate: "has no target: ...".
Result<Reverse> parse_reverse(std::string_view text);
/// As parse_reverse() takes it again.
std::string to_text(const Reverse& reverse);
/// Its left side: "tcp://:8080"; its right side.
std::string listen_text(const Reverse& reverse);
std::string target_text(const Reverse& reverse);

/// The reverse forwards of `settings` into `profile`, or the first complaint.
std::optional<ValidationError> read_reverses(const Settings& settings, Profile& profile);

/// ADDRESS[:PORT[-PORT]], with commas between. The error names the entry. Empty text has no rules.
Result<std::vector<DialRule>> parse_listen_rules(std::string_view text);
/// True if a rule covers the address. That of all addresses is covered by "*" and by itself.
bool may_listen(const std::vector<DialRule>& rules, const IpEndpoint& address);

}  // namespace kcptun
