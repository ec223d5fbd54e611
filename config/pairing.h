// The pairing string: the profile of a client as one line that survives a chat, a terminal and a QR code.
//
//   kcptun://v1/BASE64URL        of: length of the JSON u16 | CRC-32 of the JSON u32 (both big-endian) | JSON
//
// The JSON is a client's profile as -c takes it, with every field that both ends must agree on, and of the
// others of the tunnel those that are not at their default; nothing that is the machine's own (where it
// listens, logs, shows its status). No character of it means anything to a shell.
#pragma once

#include <string>
#include <string_view>

#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

inline constexpr std::string_view kPairingScheme = "kcptun://";
/// How a pairing string is called in messages, which must not repeat it: it holds the key.
inline constexpr std::string_view kPairingName = "the pairing string";

/// Where a client accepts connections unless the user says more: on its own machine only. For profiles that
/// these programs write and for pairing strings; kcptun's default is all addresses.
inline constexpr std::string_view kOwnMachineOnly = "127.0.0.1:12948";

/// True for what begins like one, behind blanks if there are some, whether or not it is right.
bool is_pairing(std::string_view text);

/// True for the options whose values must be the same at both ends.
bool must_agree(OptionId id);

/// REQUIRES: a client's settings that passed validate(), with their strings in UTF-8; the JSON has at most
/// 65535 bytes.
std::string encode_pairing(const Settings& client);

/// The profile as JSON text for `role`: for a server the client's remoteaddr is its port to listen on. White
/// space anywhere is passed over, as lines may be wrapped. The error is a sentence's predicate: "is cut
/// short: ...".
Result<std::string> decode_pairing(std::string_view text, Role role);

}  // namespace kcptun
