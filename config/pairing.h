// The pairing string: a client's profile as one line that chat programs, terminals and QR codes preserve.
//
//   kcptun://v1/BASE64URL        of: length of the JSON u16 | CRC-32 of the JSON u32 (both big-endian) | JSON
//
// The JSON is a client's profile in the format of -c. It contains every field that both ends must agree on,
// and the tunnel's other fields that differ from their defaults. It contains nothing that belongs to the
// machine (where it listens, logs or serves its status). No character of the string is special to a shell.
#pragma once

#include <string>
#include <string_view>

#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

inline constexpr std::string_view kPairingScheme = "kcptun://";
/// Messages use this name instead of the string, which contains the key.
inline constexpr std::string_view kPairingName = "the pairing string";

/// Where a client accepts connections by default: on its own machine only. Used in profiles that these
/// programs write and in pairing strings; kcptun's default is all addresses.
inline constexpr std::string_view kOwnMachineOnly = "127.0.0.1:12948";

/// True if the text begins like a pairing string, valid or not. Leading blanks are ignored.
bool is_pairing(std::string_view text);

/// True for the options whose values must be the same at both ends.
bool must_agree(OptionId id);

/// REQUIRES: a client's settings that passed validate(), with strings in UTF-8; the JSON is at most 65535
/// bytes.
std::string encode_pairing(const Settings& client);

/// Returns the profile as JSON text for `role`. A server listens on the port of the client's remoteaddr.
/// White space anywhere is ignored, because lines may be wrapped. The error is a predicate: "is cut short:
/// ...".
Result<std::string> decode_pairing(std::string_view text, Role role);

}  // namespace kcptun
