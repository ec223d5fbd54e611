// The static keys of crypt noise as text (docs/develop/protocol.md section 15).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/profile.h"
#include "config/settings.h"

namespace kcptun {

/// Reads 43 digits of base64url, as --genkey and --pubkey print them, or 44 characters of base64, as
/// WireGuard's tools do.
std::optional<StaticKey> parse_static_key(std::string_view text);
/// Returns 43 digits of base64url.
std::string to_text(const StaticKey& key);

/// What an error says of text that is no key; a predicate.
inline constexpr std::string_view kStaticKeyForm =
    "must be 43 letters, digits, hyphens and underscores, as --genkey and --pubkey print them";
/// The public key of a private key (RFC 7748).
StaticKey public_key_of(const StaticKey& private_key);

/// Reads private-key and server-key into the profile.
std::optional<ValidationError> read_static_keys(const Settings& settings, Profile& profile);

}  // namespace kcptun
