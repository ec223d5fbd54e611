#include "daemon/process/secrets.h"
#include "core/base/wipe.h"

#include <sodium.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "config/base64url.h"
#include "config/pairing.h"

namespace kcptun {
namespace {

constexpr char kBlank = 'x';

// The length remains visible: the kernel fixes the size of this memory.
void overwrite(char* text) { std::memset(text, kBlank, std::strlen(text)); }

// A key, a token, or a pairing string, which contains a key.
bool holds_secret(const Option& option, std::string_view value) {
  return is_secret(option.id) || (option.id == OptionId::kConfigFile && is_pairing(value));
}

// The value in "-key=value" or "--key=value"; null for any other argument.
char* value_after_equals(Role role, char* argument) {
  char* const equals = std::strchr(argument, '=');
  if (*argument != '-' || !equals) return nullptr;
  std::string_view name(argument, static_cast<std::size_t>(equals - argument));
  name.remove_prefix(name.starts_with("--") ? 2 : 1);
  const Option* option = find_flag(role, name);
  return option && holds_secret(*option, equals + 1) ? equals + 1 : nullptr;
}

// True for "-key" or "--key", whose value is the next argument.
bool value_is_secret(Role role, std::string_view argument, std::string_view value) {
  if (!argument.starts_with('-')) return false;
  argument.remove_prefix(argument.starts_with("--") ? 2 : 1);
  const Option* option = find_flag(role, argument);
  return option && holds_secret(*option, value);
}

}  // namespace

void hide_secrets(Role role, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (char* value = value_after_equals(role, argv[i])) {
      overwrite(value);
    } else if (i + 1 < argc && value_is_secret(role, argv[i], argv[i + 1])) {
      overwrite(argv[++i]);
    }
  }
  for (const char* name : {"KCPTUN_KEY", "SS_PLUGIN_OPTIONS"})
    if (char* value = std::getenv(name)) overwrite(value);
}

namespace {

std::string digest_of(std::string key) {
  static const auto salt = [] {
    std::array<std::uint8_t, crypto_generichash_KEYBYTES> bytes;
    randombytes_buf(bytes.data(), bytes.size());
    return bytes;
  }();
  std::array<std::uint8_t, crypto_generichash_BYTES> digest;
  crypto_generichash(digest.data(), digest.size(), reinterpret_cast<const std::uint8_t*>(key.data()),
                     key.size(), salt.data(), salt.size());
  wipe(key);
  return to_base64url(std::string(digest.begin(), digest.end()));  // which has the form of a private key
}

}  // namespace

void replace_keys_by_digests(ConfiguredTunnel& tunnel) {
  Settings& settings = tunnel.settings;
  for (const OptionId id : {OptionId::kKey, OptionId::kPrivateKey})
    if (!settings.text(id).empty()) settings.set(id, digest_of(settings.text(id)), settings.source(id));
}

}  // namespace kcptun
