#include "config/pairing.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "config/address.h"
#include "config/base64url.h"
#include "config/json_list.h"
#include "core/base/check.h"

namespace kcptun {
namespace {

constexpr std::string_view kFormatVersion = "v1";
constexpr std::size_t kHeader = 2 + 4;
constexpr std::size_t kHeaderDigits = 8;  // in base64url; the header is a whole number of digit groups
static_assert(kHeader * 8 == kHeaderDigits * 6);

using enum OptionId;
constexpr std::array kAgreed{kKey, kCrypt, kQpp, kQppCount, kNoComp, kSmuxVersion};

// CRC-32/IEEE, bit by bit: it runs once at a start, over a few hundred bytes.
std::uint32_t crc32_of(std::string_view text) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : text) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

std::string big_endian(std::uint32_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::uint32_t big_endian_at(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<std::uint8_t>(c);
  return value;
}

bool is_digit(unsigned char c) { return (std::isalnum(c) != 0 && c < 0x80) || c == '-' || c == '_'; }

std::size_t digits_for(std::size_t bytes) { return (bytes * 8 + 5) / 6; }

std::string without_white_space(std::string_view text) {
  std::string out;
  std::ranges::copy_if(text, std::back_inserter(out), [](unsigned char c) { return std::isspace(c) == 0; });
  return out;
}

constexpr std::string_view kDamaged =
    "is damaged: a character is wrong or missing (its checksum does not fit); copy it again";

/// Decodes the JSON and verifies its length and checksum. The header ends at a digit boundary, so a string
/// cut behind it still shows how much is missing.
Result<std::string> unpack(std::string_view digits) {
  if (!std::ranges::all_of(digits, is_digit))
    return Error{"has a character that no pairing string has; copy it again, from kcptun:// to its end"};
  const auto header = from_base64url(digits.substr(0, kHeaderDigits));
  if (!header || header->size() < kHeader)
    return Error{"is cut short: only its beginning is there; copy it again, whole"};
  const std::size_t length = big_endian_at(std::string_view(*header).substr(0, 2));
  const std::size_t wanted = digits_for(kHeader + length);
  const std::size_t before = kPairingScheme.size() + kFormatVersion.size() + 1;
  const std::string counts =
      std::to_string(before + digits.size()) + " characters of " + std::to_string(before + wanted);
  if (digits.size() < wanted) return Error{"is cut short: " + counts + " are there; copy it again, whole"};
  if (digits.size() > wanted) return Error{"has something behind its end: " + counts + "; copy it again"};
  const auto bytes = from_base64url(digits);
  if (!bytes) return Error{std::string(kDamaged)};
  std::string json = bytes->substr(kHeader);
  if (crc32_of(json) != big_endian_at(std::string_view(*header).substr(2, 4)))
    return Error{std::string(kDamaged)};
  return json;
}

/// The server's profile. Its listening port is the port of the client's remoteaddr.
Result<std::string> for_server(const std::string& text) {
  auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("remoteaddr") || !json["remoteaddr"].is_string()) {
    return Error{"names no server"};
  }
  if (json["remoteaddr"].get<std::string>().find(',') != std::string::npos)
    return Error{"names several servers, and cannot say which of them this is"};
  const auto address = parse_address(json["remoteaddr"].get<std::string>(), AddressUse::kDatagramDial);
  if (!address) return Error{"names a server whose address " + address.error()};
  const auto& server = std::get<HostPort>(address.value());
  std::string ports = ':' + std::to_string(server.port_min);
  if (server.is_range()) ports += '-' + std::to_string(server.port_max);
  json.erase("remoteaddr");
  json.erase("forwards");
  json.erase("reverses");
  json["listen"] = ports;
  return json.dump();
}

}  // namespace

bool is_pairing(std::string_view text) {
  const auto begins = std::ranges::find_if(text, [](unsigned char c) { return std::isspace(c) == 0; });
  return std::string_view(begins, text.end()).starts_with(kPairingScheme);
}

namespace {

/// True for options of the tunnel, which forwards are; false for those of the machine that the client runs
/// on.
bool travels(const Option& option) {
  if (option.json.empty() || !option.applies_to(Role::kClient)) return false;
  switch (option.group) {
    case OptionGroup::kAddresses:
      return option.id == kRemoteAddr || option.id == kForward || option.id == kReverse;
    case OptionGroup::kLogging:
    case OptionGroup::kWatching:
    case OptionGroup::kProcess:
    case OptionGroup::kHidden:
      return false;
    default:
      return option.id != kKeyFile &&
             option.id != kPrivateKeyFile;  // the string contains the keys themselves
  }
}

}  // namespace

bool must_agree(OptionId id) { return std::ranges::find(kAgreed, id) != kAgreed.end(); }

std::string encode_pairing(const Settings& client) {
  nlohmann::ordered_json fields = nlohmann::ordered_json::object();
  const Settings defaults(Role::kClient);
  for (const auto& option : all_options()) {
    if (!travels(option)) continue;
    const Setting chosen{client.value(option.id), client.source(option.id)};
    const bool is_default = chosen.source == Source::kDefault || chosen.value == defaults.value(option.id);
    if (is_default && option.id != kRemoteAddr && !must_agree(option.id)) continue;
    fields[std::string(option.json)] = json_of_value(option, chosen.value);
  }
  const std::string json = fields.dump();
  KCPTUN_CHECK(json.size() <= UINT16_MAX);
  std::string bytes =
      big_endian(static_cast<std::uint32_t>(json.size()), 2) + big_endian(crc32_of(json), 4) + json;
  return std::string(kPairingScheme).append(kFormatVersion).append("/") + to_base64url(bytes);
}

Result<std::string> decode_pairing(std::string_view text, Role role) {
  const std::string line = without_white_space(text);
  if (!is_pairing(line)) return Error{"does not begin with kcptun://"};
  const std::string_view rest = std::string_view(line).substr(kPairingScheme.size());
  const auto slash = rest.find('/');
  if (slash == rest.npos) return Error{"is cut short: only its beginning is there; copy it again, whole"};
  if (const auto version = rest.substr(0, slash); version != kFormatVersion) {
    return Error{"is of version \"" + printable(version, 16) + "\", and this program reads " +
                 std::string(kFormatVersion) + "; update it"};
  }
  auto json = unpack(rest.substr(slash + 1));
  return json && role == Role::kServer ? for_server(json.value()) : json;
}

}  // namespace kcptun
