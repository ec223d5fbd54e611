#include "config/static_key.h"

#include <sodium.h>

#include <algorithm>

#include "config/base64url.h"
#include "config/text.h"

namespace kcptun {
namespace {

using enum OptionId;

constexpr std::size_t kPaddedSize = 44;  // 32 bytes in base64 with its one '='

std::optional<ValidationError> read_key(const Settings& settings, OptionId id, std::optional<StaticKey>& to) {
  const std::string& text = settings.text(id);
  if (text.empty()) return std::nullopt;
  if (settings.text(kCrypt) != "noise") return ValidationError{id, "needs crypt noise"};
  to = parse_static_key(text);
  if (!to) return ValidationError{id, std::string(kStaticKeyForm)};
  return std::nullopt;
}

}  // namespace

std::optional<StaticKey> parse_static_key(std::string_view given) {
  std::string text(without_blanks(given));
  if (text.size() == kPaddedSize && text.back() == '=') text.pop_back();
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  const auto bytes = from_base64url(text);
  StaticKey key;
  if (!bytes || bytes->size() != key.size()) return std::nullopt;
  std::ranges::copy(*bytes, key.begin());
  return key;
}

std::string to_text(const StaticKey& key) { return to_base64url(std::string(key.begin(), key.end())); }

StaticKey public_key_of(const StaticKey& private_key) {
  StaticKey key;
  crypto_scalarmult_curve25519_base(key.data(), private_key.data());
  return key;
}

std::optional<ValidationError> read_static_keys(const Settings& settings, Profile& profile) {
  if (auto bad = read_key(settings, kPrivateKey, profile.private_key)) return bad;
  if (settings.role() == Role::kServer) return std::nullopt;
  if (auto bad = read_key(settings, kServerKey, profile.server_key)) return bad;
  if (profile.private_key && !profile.server_key)
    return ValidationError{kPrivateKey, "needs server-key beside it, which the server's --pubkey prints"};
  if (profile.server_key && !profile.private_key)
    return ValidationError{kServerKey, "needs private-key or private-key-file beside it"};
  return std::nullopt;
}

}  // namespace kcptun
