// The one table of options. The command line, the JSON file, --check, the help text and the table of
// docs/reference/flags.md all derive from it: to add an option, add an id and a row, and say in validate.cc
// where its value goes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/profile.h"

namespace kcptun {

// clang-format off
enum class OptionId : std::uint8_t {
  kLocalAddr, kLocalMode, kLocalGroup, kForward, kRemoteAddr, kListen, kTarget, kAllow, kDeny, kProxyProtocol,
  kKey, kKeyFile, kCrypt, kQpp, kQppCount,
  kMode, kMtu, kRateLimit, kSendWindow, kReceiveWindow, kAckNodelay, kNodelay, kInterval, kResend, kNc,
  kCongestion, kThin,
  kDataShard, kParityShard, kFecPolicy,
  kNoComp, kSmuxVersion, kSmuxBuf, kFrameSize, kStreamBuf, kKeepAlive,
  kConn, kAutoExpire, kScavengeTtl, kCloseWait, kMaxSessions, kMaxStreams,
  kDscp, kSockBuf, kUdpOffload, kTcp, kBind, kInterface, kFwmark,
  kName, kLog, kLogLevel, kLogFormat, kLogUtc, kQuiet, kSnmpLog, kSnmpPeriod, kPprof,
  kStatus, kStatusToken,
  kThreads, kMemory, kUser, kConfigFile, kCheck, kInit, kPrint, kShare, kPublicAddress, kDuration, kBandwidth, kGenKey, kHelpMarkdown, kHelpMan,
  kHelpManJson, kHelp, kVersion,
};
// clang-format on
inline constexpr std::size_t kOptionCount = static_cast<std::size_t>(OptionId::kVersion) + 1;

/// A kList's value is text with a comma between two entries. Its flag may be repeated, and its JSON field is
/// an array of them.
enum class OptionKind : std::uint8_t { kSwitch, kNumber, kText, kChoice, kAddress, kList };
enum class OptionRole : std::uint8_t { kClient, kServer, kBoth };
/// What a changed option needs when a running program reads its configuration again.
enum class OptionReload : std::uint8_t {
  kLive,         // takes effect at once, on sessions that are open too
  kNextSession,  // sessions that are open keep what they have
  kRestart,
};
/// The help text's headings, in its order.
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

/// Of a kNumber, inclusive both ways.
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
  std::string_view flag;            // without dashes, as kcptun writes it
  std::string_view alias;           // "" or a second name
  std::string_view json;            // field of the JSON file, "": command line only
  NumberRange range;                // of a kNumber
  std::string_view client_default;  // as text; "" is false, or empty
  std::string_view server_default;
  std::string_view help;       // shown by help_of()
  std::string_view word = "";  // of a kNumber: may stand in place of a number; its value is then that text

  bool applies_to(Role r) const {
    return role == OptionRole::kBoth || (role == OptionRole::kClient) == (r == Role::kClient);
  }
  std::string_view default_for(Role r) const { return r == Role::kClient ? client_default : server_default; }
};

/// All options; option_of(id) is element number id.
std::span<const Option, kOptionCount> all_options();
const Option& option_of(OptionId id);

/// By flag or alias, case-sensitive and without dashes; nullptr if this role has none.
const Option* find_flag(Role role, std::string_view name);
/// By JSON field, of either role; like Go's reader an exact match is preferred to one of another case.
const Option* find_field(std::string_view name);

/// What the option does, as a phrase. That of cc comes from the table of congestion controllers.
std::string help_of(const Option& option);
/// The words a kChoice takes.
std::vector<std::string_view> choices_of(OptionId id);
/// An option of the process: of a file with several tunnels it may stand beside them only, not inside one.
bool is_process_wide(OptionId id);

/// What becomes of a number beyond its range: most are refused; where Go's kcptun takes it for the end of the
/// range, it is moved there, and the user is told.
enum class BeyondRange : std::uint8_t { kRefused, kBelowIsMin, kAboveIsMax };
BeyondRange beyond_range_of(OptionId id);

std::string_view group_title(OptionGroup group);
std::string_view program_name(Role role);

/// True if its value must never be shown: not in messages, not by --check.
bool is_secret(OptionId id);

/// What the value of one option is, for people: "N", "1..30", "aes, aes-128, ...".
std::string value_hint(const Option& option);

}  // namespace kcptun
