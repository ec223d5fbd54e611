#include "config/validate.h"

#include <algorithm>
#include <optional>

#include "config/base64url.h"
#include "config/read_addresses.h"
#include "config/static_key.h"
#include "config/text.h"
#include "config/unsupported.h"
#include "config/users.h"
#include "core/base/check.h"
#include "core/kcp/congestion_table.h"

namespace kcptun {
namespace {

using enum OptionId;
using Check = std::optional<ValidationError>;

constexpr std::string_view kManualMode = "manual";
// Bytes of all headers together (docs/develop/protocol.md section 2). The smallest mtu must be larger, so
// that payload fits.
constexpr std::int64_t kMaxHeaders = 44 + 8 + 16 + 24;

std::optional<KcpTuning> preset_of(std::string_view mode) {
  const auto row = std::ranges::find(kModePresets, mode, &ModePreset::name);
  if (row == kModePresets.end()) return std::nullopt;
  return row->tuning;
}

std::string range_predicate(const Option& option) {
  const auto [min, max] = option.range;
  if (max - min == 1) return "must be " + std::to_string(min) + " or " + std::to_string(max);
  return "is out of range " + value_hint(option);
}

Check check_alone(const Settings& settings, const Option& option) {
  if (option.kind == OptionKind::kNumber && settings.has_word(option.id)) return std::nullopt;
  if (option.kind == OptionKind::kNumber && !option.range.contains(settings.number(option.id))) {
    return ValidationError{option.id, range_predicate(option)};
  }
  const bool unset = option.id == kInit && settings.text(option.id).empty();
  if (option.kind == OptionKind::kChoice && !unset) {
    const auto choices = choices_of(option.id);
    if (std::ranges::find(choices, settings.text(option.id)) == choices.end()) {
      // KCPTUN-QUIRK: Go's kcptun accepts unknown ciphers (normalise.cc); this program rejects them.
      const bool cipher = option.id == kCrypt;
      return ValidationError{option.id,
                             "must be one of " + value_hint(option) +
                                 (cipher ? "; Go's kcptun takes every other name as aes: write aes" : "")};
    }
  }
  const bool has_paths = option.kind == OptionKind::kText || option.kind == OptionKind::kList;
  if (has_paths && !is_secret(option.id) && settings.text(option.id).find('\0') != std::string::npos) {
    return ValidationError{option.id, "has a NUL byte"};
  }
  return std::nullopt;
}

/// Checks the form, "NAME" or "NAME:GROUP". The daemon checks that they exist.
Check check_user(const Settings& settings) {
  const std::string& user = settings.text(kUser);
  const std::size_t colon = user.find(':');
  if (user.empty() || (colon != 0 && (colon == user.npos ||
                                      (colon + 1 < user.size() && user.find(':', colon + 1) == user.npos))))
    return std::nullopt;
  return ValidationError{kUser, "must be NAME or NAME:GROUP"};
}

Check check_name(const Settings& settings) {
  if (is_name(settings.text(kName))) return std::nullopt;
  return ValidationError{kName, "must be at most " + std::to_string(kMaxNameSize) +
                                    " letters, digits, dots, underscores and hyphens"};
}

constexpr std::size_t kRawKeyBytes = 32;

Cipher cipher_of(const Settings& settings) {
  const auto row = std::ranges::find(kCipherNames, settings.text(kCrypt), &CipherName::name);
  KCPTUN_CHECK(row != kCipherNames.end());
  return row->cipher;
}

// With a suite that stretches passwords only: kcptun's suites take these keys for text like any other.
Check check_raw_key(const Settings& settings) {
  const std::string& key = settings.text(kKey);
  if (!is_own_suite(cipher_of(settings)) || !key.starts_with(kRawKeyPrefix)) return std::nullopt;
  const auto bytes = from_base64url(std::string_view(key).substr(kRawKeyPrefix.size()));
  if (bytes && bytes->size() == kRawKeyBytes) return std::nullopt;
  return ValidationError{
      kKey,
      "begins with raw256: and needs 43 letters, digits, hyphens and underscores behind it, "
      "as --genkey prints them"};
}

Check check_each(const Settings& settings) {
  for (const auto& option : all_options()) {
    if (!option.applies_to(settings.role())) continue;
    if (auto complaint = check_alone(settings, option)) return complaint;
  }
  return std::nullopt;
}

/// The one of two conflicting options that an error names: the one from the source of higher precedence, else
/// `a`.
OptionId conflicting_option(const Settings& settings, OptionId a, OptionId b) {
  return settings.source(b) > settings.source(a) ? b : a;
}

Check check_shards(const Settings& settings) {
  const auto total = settings.number(kDataShard) + settings.number(kParityShard);
  if (total <= kMaxShards) return std::nullopt;
  const auto named = conflicting_option(settings, kDataShard, kParityShard);
  const auto other = named == kDataShard ? kParityShard : kDataShard;
  return ValidationError{
      named, "with " + std::string(option_of(other).flag) + ' ' + std::to_string(settings.number(other)) +
                 " makes " + std::to_string(total) + " shards, more than " + std::to_string(kMaxShards)};
}

Check check_buffers(const Settings& settings) {
  const auto whole = number_in_force(settings, kSmuxBuf);
  const auto stream = number_in_force(settings, kStreamBuf);
  if (stream <= whole) return std::nullopt;
  if (conflicting_option(settings, kStreamBuf, kSmuxBuf) == kSmuxBuf) {
    return ValidationError{kSmuxBuf, "is smaller than streambuf " + std::to_string(stream)};
  }
  return ValidationError{kStreamBuf, "is larger than smuxbuf " + std::to_string(whole)};
}

// A file keeps the public address for a later --share. On the command line without --init or --share it has
// no effect, which is an error.
Check check_init(const Settings& settings) {
  const bool init = !settings.text(kInit).empty();
  if (settings.on(kPrint) && !init) return ValidationError{kPrint, "has a meaning with --init only"};
  const bool unused = settings.source(kPublicAddress) == Source::kFlag && !init && !settings.on(kShare);
  if (!unused || settings.text(kPublicAddress).empty()) return std::nullopt;
  return ValidationError{kPublicAddress, "has a meaning with --init and --share only"};
}

// The first packets of a session hold its handshake too.
Check check_mtu(const Settings& settings) {
  static constexpr std::int64_t kMinNoiseMtu = 256;
  const bool noise = settings.text(kCrypt) == "noise" && !settings.has_word(kMtu);
  if (!noise || settings.number(kMtu) >= kMinNoiseMtu) return std::nullopt;
  if (conflicting_option(settings, kMtu, kCrypt) == kCrypt)
    return ValidationError{kCrypt, "needs an mtu of " + std::to_string(kMinNoiseMtu) + " or more"};
  return ValidationError{kMtu, "must be at least " + std::to_string(kMinNoiseMtu) + " with crypt noise"};
}

// Rejects port 0, for which the kernel would choose different UDP and TCP ports.
Check check_tcp(const Settings& settings, const Profile& profile) {
  const auto* listened = std::get_if<HostPort>(&profile.local_address);
  if (settings.on(kTcp) && profile.servers.size() > 1)
    return ValidationError{kRemoteAddr,
                           "names several servers, which tcp cannot have: a check of each would be one more "
                           "disguised connection"};
  if (settings.role() != Role::kServer || !settings.on(kTcp) || !listened || listened->port_min != 0)
    return std::nullopt;
  return ValidationError{kListen, "needs a port with tcp, not 0"};
}

/// REQUIRES: check_each() has accepted the settings.
const CongestionRow& congestion_row(const Settings& settings) {
  const CongestionRow* const row = find_congestion(settings.text(kCongestion));
  KCPTUN_CHECK(row != nullptr);
  return *row;
}

/// A controller without a bandwidth estimate needs ratelimit.
Check check_congestion(const Settings& settings) {
  if (congestion_row(settings).rate_limit == RateLimitUse::kOptional || settings.number(kRateLimit) > 0)
    return std::nullopt;
  if (conflicting_option(settings, kCongestion, kRateLimit) == kRateLimit)
    return ValidationError{kRateLimit, "must not be 0 with cc " + settings.text(kCongestion)};
  return ValidationError{kCongestion, "needs a ratelimit other than 0"};
}

std::uint32_t u32(const Settings& settings, OptionId id) {
  return static_cast<std::uint32_t>(number_in_force(settings, id));
}

/// True if the option is unset or set to its word, "auto".
bool is_unset_or_auto(const Settings& settings, OptionId id) {
  return settings.source(id) == Source::kDefault || settings.has_word(id);
}

// Windows and buffers that the user did not set grow with the path's bandwidth-delay product.
void read_windows(const Settings& settings, LinkSettings& link) {
  link.kcp.send_window = u32(settings, kSendWindow);
  link.kcp.receive_window = u32(settings, kReceiveWindow);
  if (is_automatic(settings, kSendWindow)) link.kcp.max_send_window = kMaxFollowingWindow;
  if (is_automatic(settings, kReceiveWindow)) link.kcp.max_receive_window = kMaxFollowingWindow;
  link.smux.receive_buffer = u32(settings, kSmuxBuf);
  link.smux.stream_buffer = u32(settings, kStreamBuf);
  link.smux.buffers_follow_window = is_automatic(settings, kSmuxBuf);
}

/// The enumerator of a choice. REQUIRES: choices_of(id) is in the order of Enum.
template <typename Enum>
Enum choice_of(const Settings& settings, OptionId id) {
  const auto words = choices_of(id);
  return static_cast<Enum>(std::ranges::find(words, settings.text(id)) - words.begin());
}

void read_link(const Settings& settings, LinkSettings& link) {
  static_assert(kMaxHeaders < 128, "the range of mtu must leave room for payload");
  link.kcp.tuning = {settings.number(kNodelay) != 0, milliseconds(settings.number(kInterval)),
                     u32(settings, kResend), settings.number(kNc) != 0};
  link.kcp.find_mtu = settings.has_word(kMtu);  // the search starts from the default
  if (!link.kcp.find_mtu) link.kcp.mtu = u32(settings, kMtu);
  link.kcp.tuning.congestion = {congestion_row(settings).name};
  link.kcp.tuning.rate = static_cast<std::uint64_t>(settings.number(kRateLimit));
  read_windows(settings, link);
  link.kcp.thin = choice_of<ThinMode>(settings, kThin);
  link.kcp.ack_nodelay = settings.on(kAckNodelay);
  link.fec.data_shards = u32(settings, kDataShard);
  link.fec.parity_shards = u32(settings, kParityShard);
  link.smux.version = u32(settings, kSmuxVersion);
  link.smux.keepalive = seconds(settings.number(kKeepAlive));
  // A session ends after three lost keepalives. At the default of 10 s this equals kcptun's fixed 30 s.
  link.smux.dead_after = std::max<Duration>(link.smux.dead_after, 3 * link.smux.keepalive);
  link.smux.max_streams = u32(settings, kMaxStreams);
  link.smux.frame_size = u32(settings, kFrameSize);
  link.adaptive_parity = settings.text(kFecPolicy) == "adaptive";
  link.compress = !settings.on(kNoComp);
}

void read_client_only(const Settings& settings, Profile& profile) {
  profile.conn = u32(settings, kConn);
  if (is_automatic(settings, kConn)) profile.conn.reset();
  profile.autoexpire = seconds(settings.number(kAutoExpire));
  const auto ttl = settings.number(kScavengeTtl);
  if (ttl >= 0) profile.scavengettl = seconds(ttl);
  profile.hop = seconds(settings.number(kHop));
}

void read_server_only(const Settings& settings, Profile& profile) {
  profile.max_sessions = u32(settings, kMaxSessions);
  profile.target_header = choice_of<TargetHeader>(settings, kProxyProtocol);
}

LogSettings read_log(const Settings& settings) {
  return {settings.text(kLog), choice_of<LogLevel>(settings, kLogLevel),
          choice_of<LogFormat>(settings, kLogFormat), settings.on(kLogUtc)};
}

void read_rest(const Settings& settings, Profile& profile) {
  profile.crypt = cipher_of(settings);
  profile.key = settings.text(kKey);
  profile.mode = settings.text(kMode);
  profile.closewait = seconds(settings.number(kCloseWait));
  profile.ratelimit = static_cast<std::uint64_t>(settings.number(kRateLimit));
  profile.dscp = static_cast<std::uint8_t>(settings.number(kDscp));
  profile.sockbuf = u32(settings, kSockBuf);
  profile.udp_offload = choice_of<UdpOffload>(settings, kUdpOffload);
  profile.qpp = settings.on(kQpp);
  profile.qpp_count = static_cast<std::uint16_t>(settings.number(kQppCount));
  profile.tcp = settings.on(kTcp);
  profile.snmplog = settings.text(kSnmpLog);
  profile.snmpperiod = seconds(settings.number(kSnmpPeriod));
  profile.name = settings.text(kName);
  profile.log = read_log(settings);
  profile.quiet = settings.on(kQuiet);
  profile.pprof = settings.on(kPprof);
  profile.threads = u32(settings, kThreads);
  profile.memory = u32(settings, kMemory);
  profile.user = settings.text(kUser);
}

}  // namespace

std::string apply_mode(Settings& settings) {
  const std::string& mode = settings.text(kMode);
  if (const auto preset = preset_of(mode)) {
    const auto interval = std::chrono::duration_cast<milliseconds>(preset->interval).count();
    settings.set(kNodelay, std::int64_t{preset->nodelay}, Source::kDefault);
    settings.set(kInterval, std::int64_t{interval}, Source::kDefault);
    settings.set(kResend, std::int64_t{preset->resend}, Source::kDefault);
    settings.set(kNc, std::int64_t{preset->no_congestion_control}, Source::kDefault);
    return {};
  }
  const auto [min, max] = option_of(kInterval).range;
  const auto asked = settings.number(kInterval);
  const auto used = std::clamp(asked, min, max);
  if (mode != kManualMode || used == asked) return {};
  settings.set(kInterval, used, settings.source(kInterval));
  return "interval " + std::to_string(asked) + " is outside " + value_hint(option_of(kInterval)) +
         "; using " + std::to_string(used);
}

bool is_automatic(const Settings& settings, OptionId id) {
  switch (id) {
    case kMtu:
      return settings.has_word(id);
    case kSendWindow:  // needs a controller that estimates the bandwidth-delay product
      return is_unset_or_auto(settings, id) &&
             congestion_row(settings).window_grows(settings.number(kNc) != 0);
    case kReceiveWindow:
    case kConn:
      return is_unset_or_auto(settings, id);
    case kSmuxBuf:
    case kStreamBuf:
      return is_unset_or_auto(settings, kSmuxBuf) && is_unset_or_auto(settings, kStreamBuf);
    default:
      return false;
  }
}

std::int64_t number_in_force(const Settings& settings, OptionId id) {
  if (!settings.has_word(id)) return settings.number(id);
  const Option& option = option_of(id);
  const auto value = value_from_text(option, option.default_for(settings.role()));
  KCPTUN_CHECK(value.ok());
  return std::get<std::int64_t>(value.value());
}

std::variant<Profile, ValidationError> validate(const Settings& settings) {
  Profile profile;
  profile.role = settings.role();
  if (auto bad = check_each(settings)) return *bad;
  if (auto bad = check_name(settings)) return *bad;
  if (auto bad = check_raw_key(settings)) return *bad;
  if (auto bad = check_shards(settings)) return *bad;
  if (auto bad = check_buffers(settings)) return *bad;
  if (auto bad = check_congestion(settings)) return *bad;
  if (auto bad = check_mtu(settings)) return *bad;
  if (auto bad = check_init(settings)) return *bad;
  if (auto bad = check_user(settings)) return *bad;
  if (auto bad = read_addresses(settings, profile)) return *bad;
  if (auto bad = read_static_keys(settings, profile)) return *bad;
  if (auto bad = read_users(settings, profile)) return *bad;
  if (auto bad = find_unsupported(settings)) return *bad;
  if (auto bad = check_tcp(settings, profile)) return *bad;
  read_link(settings, profile.link);
  read_rest(settings, profile);
  settings.role() == Role::kClient ? read_client_only(settings, profile)
                                   : read_server_only(settings, profile);
  return profile;
}

}  // namespace kcptun
