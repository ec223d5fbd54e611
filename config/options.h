// The table of options. The command line, the JSON file, --check, the help text, the manual pages and
// docs/reference/flags.md are generated from it. To add an option, add an id and a row here, and store its
// value in the profile in validate.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/profile.h"

namespace kcptun {

// clang-format off
enum class OptionId : std::uint8_t {
  kLocalAddr, kLocalMode, kLocalGroup, kForward, kReverse, kRemoteAddr, kListen, kTarget, kAllow, kDeny, kAllowListen,
  kProxyProtocol,
  kKey, kKeyFile, kPrivateKey, kPrivateKeyFile, kServerKey, kUsers, kUsersFile, kQuotaFile, kCrypt, kQpp, kQppCount,
  kMode, kMtu, kRateLimit, kSendWindow, kReceiveWindow, kAckNodelay, kNodelay, kInterval, kResend, kNc,
  kCongestion, kThin,
  kDataShard, kParityShard, kFecPolicy,
  kNoComp, kSmuxVersion, kSmuxBuf, kFrameSize, kStreamBuf, kKeepAlive,
  kConn, kAutoExpire, kScavengeTtl, kCloseWait, kMaxSessions, kMaxStreams,
  kDscp, kSockBuf, kUdpOffload, kTcp, kBind, kInterface, kFwmark, kHop,
  kName, kLog, kLogLevel, kLogFormat, kLogUtc, kQuiet, kSnmpLog, kSnmpPeriod, kPprof,
  kStatus, kStatusToken,
  kThreads, kMemory, kUser, kConfigFile, kCheck, kInit, kPrint, kShare, kPublicAddress, kDuration, kBandwidth, kGenKey, kPubKey, kHelpMarkdown, kHelpMan,
  kHelpManJson, kHelp, kVersion,
};
// clang-format on
inline constexpr std::size_t kOptionCount = static_cast<std::size_t>(OptionId::kVersion) + 1;

/// The value of a kList is text with commas between the entries. Its flag may be repeated; its JSON field is
/// an array.
enum class OptionKind : std::uint8_t { kSwitch, kNumber, kText, kChoice, kAddress, kList };
enum class OptionRole : std::uint8_t { kClient, kServer, kBoth };
/// When a changed option takes effect after a running program has reloaded its configuration.
enum class OptionReload : std::uint8_t {
  kLive,         // immediately, also for open sessions
  kNextSession,  // for new sessions only
  kRestart,      // after a restart of the program
};
/// The sections of the help text, in their order.
enum class OptionGroup : std::uint8_t {
  kAddresses,
  kSecurity,
  kKcp,
  kManual,
  kFec,
  kMultiplexing,
  kSessions,
  kSockets,
  kLogging,
  kWatching,
  kProcess,
  kHidden,
};

/// The range of a kNumber; both ends are inclusive.
struct NumberRange {
  std::int64_t min = 0;
  std::int64_t max = 0;
  bool contains(std::int64_t n) const { return n >= min && n <= max; }
};

struct Option {
  OptionId id;
  OptionGroup group;
  OptionRole role;
  OptionKind kind;
  OptionReload reload;
  std::string_view flag;            // without dashes
  std::string_view alias;           // a second name; "": none
  std::string_view json;            // field of the JSON file; "": command line only
  NumberRange range;                // of a kNumber
  std::string_view client_default;  // as text; "": false or empty
  std::string_view server_default;
  std::string_view help;       // shown by help_of()
  std::string_view word = "";  // of a kNumber: accepted instead of a number, and kept as text

  bool applies_to(Role r) const {
    return role == OptionRole::kBoth || (role == OptionRole::kClient) == (r == Role::kClient);
  }
  std::string_view default_for(Role r) const { return r == Role::kClient ? client_default : server_default; }
};

/// All options; option_of(id) is element number id.
std::span<const Option, kOptionCount> all_options();
const Option& option_of(OptionId id);

/// Finds an option by flag or alias: case-sensitive, without dashes. nullptr if `role` has none.
const Option* find_flag(Role role, std::string_view name);
/// Finds an option of either role by JSON field. As in Go's decoder, case is ignored if no exact match
/// exists.
const Option* find_field(std::string_view name);

/// A phrase for the help text. That of cc lists the rows of the table of congestion controllers.
std::string help_of(const Option& option);
/// The accepted values of a kChoice.
std::vector<std::string_view> choices_of(OptionId id);
/// True for options of the process. A file with "tunnels" may set them outside of the tunnels only.
bool is_process_wide(OptionId id);

/// The treatment of a number outside its range. Most are rejected. Where Go's kcptun treats such a number
/// like the nearest end of the range, it is clamped with a warning.
enum class BeyondRange : std::uint8_t { kRejected, kBelowIsMin, kAboveIsMax };
BeyondRange beyond_range_of(OptionId id);

std::string_view group_title(OptionGroup group);
std::string_view program_name(Role role);

/// True if no output may contain the value: no message, and not the output of --check.
bool is_secret(OptionId id);

/// The option that names a file which holds the value of `id`; none for most.
std::optional<OptionId> file_option_of(OptionId id);

/// The accepted values in readable form: "1..30", "aes, aes-128, ..."; "" for free text.
std::string value_hint(const Option& option);

}  // namespace kcptun
