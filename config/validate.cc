#include "config/validate.h"

#include <algorithm>
#include <optional>

#include "config/address.h"
#include "config/text.h"
#include "config/unsupported.h"
#include "core/base/check.h"
#include "core/kcp/congestion_table.h"

namespace kcptun {
namespace {

using enum OptionId;
using Check = std::optional<ValidationError>;

constexpr std::string_view kManual = "manual";
// Sizes that Go's qpp package asks for with 8 qubits: bytes of key, and pads.
constexpr std::size_t kQppLeastKey = 211;
constexpr std::uint16_t kQppLeastPads = 7;

// Characters of a status-token: what guessing cannot find, what a request line can hold.
constexpr std::size_t kMinToken = 16;
constexpr std::size_t kMaxToken = 256;

// The smallest mtu holds every header (docs/develop/protocol.md section 2) and leaves payload.
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
      // KCPTUN-QUIRK: see normalise.cc.
      const bool cipher = option.id == kCrypt;
      return ValidationError{option.id, "must be one of " + value_hint(option) +
                                      (cipher ? "; Go's kcptun takes every other name as aes: write aes" : "")};
    }
  }
  const bool is_path = option.kind == OptionKind::kText && !is_secret(option.id);
  if (is_path && settings.text(option.id).find('\0') != std::string::npos) {
    return ValidationError{option.id, "has a NUL byte"};
  }
  return std::nullopt;
}

/// "NAME" or "NAME:GROUP"; who they are is known to the system only.
Check check_user(const Settings& settings) {
  const std::string& user = settings.text(kUser);
  const std::size_t colon = user.find(':');
  if (user.empty() || (colon != 0 && (colon == user.npos || (colon + 1 < user.size() &&
                                                             user.find(':', colon + 1) == user.npos))))
    return std::nullopt;
  return ValidationError{kUser, "must be NAME or NAME:GROUP"};
}

constexpr std::size_t kMaxName = 63;

// It stands in lines of key=value fields and in names of files.
Check check_name(const Settings& settings) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  const std::string& name = settings.text(kName);
  if (name.size() <= kMaxName && name.find_first_not_of(kAllowed) == std::string::npos) return std::nullopt;
  return ValidationError{kName, "must be at most " + std::to_string(kMaxName) +
                              " letters, digits, dots, underscores and hyphens"};
}

Check check_each(const Settings& settings) {
  for (const auto& option : all_options()) {
    if (!option.applies_to(settings.role())) continue;
    if (auto complaint = check_alone(settings, option)) return complaint;
  }
  return std::nullopt;
}

/// Of two options that clash, the one to name: the one that was set last, else the first.
OptionId culprit(const Settings& settings, OptionId a, OptionId b) {
  return settings.source(b) > settings.source(a) ? b : a;
}

Check check_shards(const Settings& settings) {
  const auto total = settings.number(kDataShard) + settings.number(kParityShard);
  if (total <= kMaxShards) return std::nullopt;
  const auto named = culprit(settings, kDataShard, kParityShard);
  const auto other = named == kDataShard ? kParityShard : kDataShard;
  return ValidationError{named, "with " + std::string(option_of(other).flag) + ' ' +
                              std::to_string(settings.number(other)) + " makes " + std::to_string(total) +
                              " shards, more than " + std::to_string(kMaxShards)};
}

Check check_buffers(const Settings& settings) {
  const auto whole = settings.number(kSmuxBuf);
  const auto stream = settings.number(kStreamBuf);
  if (stream <= whole) return std::nullopt;
  if (culprit(settings, kStreamBuf, kSmuxBuf) == kSmuxBuf) {
    return ValidationError{kSmuxBuf, "is smaller than streambuf " + std::to_string(stream)};
  }
  return ValidationError{kStreamBuf, "is larger than smuxbuf " + std::to_string(whole)};
}

Check check_init(const Settings& settings) {
  if (settings.text(kPublicAddress).empty() || !settings.text(kInit).empty()) return std::nullopt;
  return ValidationError{kPublicAddress, "has a meaning with --init only"};
}

// The kernel would choose one port for UDP and another for TCP.
Check check_tcp(const Settings& settings, const Profile& profile) {
  const auto* listened = std::get_if<HostPort>(&profile.local_address);
  if (settings.on(kTcp) && profile.servers.size() > 1)
    return ValidationError{kRemoteAddr,
                     "names several servers, which tcp cannot have: a check of each would be one more disguised connection"};
  if (settings.role() != Role::kServer || !settings.on(kTcp) || !listened || listened->port_min != 0) return std::nullopt;
  return ValidationError{kListen, "needs a port with tcp, not 0"};
}

AddressUse use_of(OptionId id) {
  switch (id) {
    case kLocalAddr:
    case OptionId::kStatus:
      return AddressUse::kStreamListen;
    case kListen:
      return AddressUse::kDatagramListen;
    case kRemoteAddr:
      return AddressUse::kDatagramDial;
    default:
      return AddressUse::kStreamDial;
  }
}

Check read_address(const Settings& settings, OptionId id, Address& to) {
  auto address = parse_address(settings.text(id), use_of(id));
  if (!address) return ValidationError{id, address.error()};
  to = std::move(address.value());
  return std::nullopt;
}

// Entries are separated by commas, which no host has.
Check read_servers(const Settings& settings, Profile& profile) {
  const std::string& text = settings.text(kRemoteAddr);
  if (text.find(',') == text.npos) {
    if (auto bad = read_address(settings, kRemoteAddr, profile.remote)) return bad;
    profile.servers = {std::get<HostPort>(profile.remote)};
    return std::nullopt;
  }
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string entry(without_blanks(std::string_view(text).substr(begin, end - begin)));
    const auto address = parse_address(entry, AddressUse::kDatagramDial);
    if (!address) return ValidationError{kRemoteAddr, "names \"" + printable(entry) + "\", which " + address.error()};
    const HostPort& server = std::get<HostPort>(address.value());
    if (std::ranges::find(profile.servers, server) != profile.servers.end())
      return ValidationError{kRemoteAddr, "names \"" + printable(entry) + "\" twice"};
    if (profile.servers.size() == kMaxServers)
      return ValidationError{kRemoteAddr, "names more than " + std::to_string(kMaxServers) + " servers"};
    profile.servers.push_back(server);
    begin = end + 1;
  }
  profile.remote = profile.servers.front();
  return std::nullopt;
}

Check read_addresses(const Settings& settings, Profile& profile) {
  const bool client = settings.role() == Role::kClient;
  if (auto bad = read_address(settings, client ? kLocalAddr : kListen, profile.local_address)) return bad;
  return client ? read_servers(settings, profile) : read_address(settings, kTarget, profile.remote);
}

// A file has permissions; an abstract name and a port have none.
Check read_local_access(const Settings& settings, Profile& profile) {
  const std::string& mode = settings.text(kLocalMode);
  profile.local_group = settings.text(kLocalGroup);
  const auto* path = std::get_if<UnixPath>(&profile.local_address);
  const bool is_file = path && path->path.front() != '@';
  for (const OptionId id : {kLocalMode, kLocalGroup})
    if (!settings.text(id).empty() && !is_file) return ValidationError{id, "needs a unix socket's path in localaddr"};
  if (mode.empty()) return std::nullopt;
  constexpr std::size_t kMaxDigits = 4;
  if (mode.size() > kMaxDigits || mode.find_first_not_of("01234567") != mode.npos || std::stoul(mode, nullptr, 8) > 0777)
    return ValidationError{kLocalMode, "must be permissions in octal, 0 to 0777"};
  profile.local_mode = static_cast<std::uint32_t>(std::stoul(mode, nullptr, 8));
  return std::nullopt;
}

// Literals and the one name that always means this machine; the daemon looks again at what the name became.
bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
}

Check check_status_token(const std::string& token) {
  if (token.empty()) return std::nullopt;
  if (token.size() < kMinToken || token.size() > kMaxToken) {
    return ValidationError{kStatusToken, "must have " + std::to_string(kMinToken) + ".." + std::to_string(kMaxToken) +
                                       " characters"};
  }
  // RFC 6750 section 2.1: what may stand behind "Bearer"; all but "+" and "/" also stand in a URL as they are.
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
  if (token.find_first_not_of(kAllowed) != token.npos) {
    return ValidationError{kStatusToken, "must be of letters, digits and -._~+/="};
  }
  return std::nullopt;
}

Check read_status(const Settings& settings, Profile& profile) {
  const std::string& text = settings.text(OptionId::kStatus);
  profile.status_token = settings.text(kStatusToken);
  if (auto bad = check_status_token(profile.status_token)) return bad;
  if (text.empty()) return std::nullopt;
  Address address;
  if (auto bad = read_address(settings, OptionId::kStatus, address)) return bad;
  if (auto* host = std::get_if<HostPort>(&address)) {
    if (host->host.empty()) host->host = "127.0.0.1";  // all others must be asked for by name
    if (profile.status_token.empty() && !is_loopback(host->host)) {
      return ValidationError{OptionId::kStatus, "is not loopback, so it needs a status-token"};
    }
  }
  profile.status = std::move(address);
  return std::nullopt;
}

/// REQUIRES: check_each() has accepted the settings.
const CongestionRow& congestion_row(const Settings& settings) {
  const CongestionRow* const row = find_congestion(settings.text(kCongestion));
  KCPTUN_CHECK(row != nullptr);
  return *row;
}

/// A controller that measures nothing takes its rate from ratelimit.
Check check_congestion(const Settings& settings) {
  if (congestion_row(settings).rate_limit == RateLimitUse::kOptional || settings.number(kRateLimit) > 0)
    return std::nullopt;
  if (culprit(settings, kCongestion, kRateLimit) == kRateLimit)
    return ValidationError{kRateLimit, "must not be 0 with cc " + settings.text(kCongestion)};
  return ValidationError{kCongestion, "needs a ratelimit other than 0"};
}

std::uint32_t u32(const Settings& settings, OptionId id) {
  return static_cast<std::uint32_t>(settings.number(id));
}

// Nobody should have to tune windows: what the user left alone follows the path.
void read_windows(const Settings& settings, LinkSettings& link) {
  const auto left_alone = [&settings](OptionId id) { return settings.source(id) == Source::kDefault; };
  const bool follows = congestion_row(settings).window_grows(link.kcp.tuning.no_congestion_control);
  link.kcp.send_window = u32(settings, kSendWindow);
  link.kcp.receive_window = u32(settings, kReceiveWindow);
  if (follows && left_alone(kSendWindow)) link.kcp.max_send_window = kMaxFollowingWindow;
  if (left_alone(kReceiveWindow)) link.kcp.max_receive_window = kMaxFollowingWindow;
  link.smux.receive_buffer = u32(settings, kSmuxBuf);
  link.smux.stream_buffer = u32(settings, kStreamBuf);
  link.smux.buffers_follow_window = left_alone(kSmuxBuf) && left_alone(kStreamBuf);
}

void read_link(const Settings& settings, LinkSettings& link) {
  static_assert(kMaxHeaders < 128, "the range of mtu must leave room for payload");
  link.kcp.tuning = {settings.number(kNodelay) != 0, milliseconds(settings.number(kInterval)),
                     u32(settings, kResend), settings.number(kNc) != 0};
  link.kcp.find_mtu = settings.has_word(kMtu);  // from the default on
  if (!link.kcp.find_mtu) link.kcp.mtu = u32(settings, kMtu);
  link.kcp.tuning.congestion = {congestion_row(settings).name};
  link.kcp.tuning.rate = static_cast<std::uint64_t>(settings.number(kRateLimit));
  read_windows(settings, link);
  link.kcp.ack_nodelay = settings.on(kAckNodelay);
  link.fec.data_shards = u32(settings, kDataShard);
  link.fec.parity_shards = u32(settings, kParityShard);
  link.smux.version = u32(settings, kSmuxVersion);
  link.smux.keepalive = seconds(settings.number(kKeepAlive));
  // Three keepalives may be lost before a session is given up; kcptun's fixed 30 s is that at the default of 10.
  link.smux.dead_after = std::max<Duration>(link.smux.dead_after, 3 * link.smux.keepalive);
  link.smux.max_streams = u32(settings, kMaxStreams);
  link.smux.frame_size = u32(settings, kFrameSize);
  link.adaptive_parity = settings.text(kFecPolicy) == "adaptive";
  link.compress = !settings.on(kNoComp);
}

void read_client_only(const Settings& settings, Profile& profile) {
  profile.conn = u32(settings, kConn);
  profile.autoexpire = seconds(settings.number(kAutoExpire));
  const auto ttl = settings.number(kScavengeTtl);
  if (ttl >= 0) profile.scavengettl = seconds(ttl);
}

void read_server_only(const Settings& settings, Profile& profile) {
  profile.max_sessions = u32(settings, kMaxSessions);
}

/// The number of a choice in choices_of(), which stands in its enumeration's order.
template <typename Enum>
Enum choice_of(const Settings& settings, OptionId id) {
  const auto words = choices_of(id);
  return static_cast<Enum>(std::ranges::find(words, settings.text(id)) - words.begin());
}

LogSettings read_log(const Settings& settings) {
  return {settings.text(kLog), choice_of<LogLevel>(settings, kLogLevel), choice_of<LogFormat>(settings, kLogFormat),
          settings.on(kLogUtc)};
}

void read_rest(const Settings& settings, Profile& profile) {
  const auto row = std::ranges::find(kCipherNames, settings.text(kCrypt), &CipherName::name);
  KCPTUN_CHECK(row != kCipherNames.end());
  profile.crypt = row->cipher;
  profile.key = settings.text(kKey);
  profile.mode = settings.text(kMode);
  profile.closewait = seconds(settings.number(kCloseWait));
  profile.ratelimit = static_cast<std::uint64_t>(settings.number(kRateLimit));
  profile.dscp = static_cast<std::uint8_t>(settings.number(kDscp));
  profile.sockbuf = u32(settings, kSockBuf);
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

void add_qpp_warnings(const Profile& profile, std::vector<std::string>& warnings) {
  if (profile.key.size() < kQppLeastKey) {
    warnings.push_back("QPP: the key has " + std::to_string(profile.key.size()) +
                       " bytes, it should have at least " + std::to_string(kQppLeastKey));
  }
  const std::string count = "QPP: QPPCount " + std::to_string(profile.qpp_count);
  if (profile.qpp_count < kQppLeastPads) {
    warnings.push_back(count + " is small, it should be at least " + std::to_string(kQppLeastPads));
  }
  if (profile.qpp_count % 2 == 0) warnings.push_back(count + " is even, it should be a prime number");
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
  if (mode != kManual || used == asked) return {};
  settings.set(kInterval, used, settings.source(kInterval));
  return "interval " + std::to_string(asked) + " is outside " + value_hint(option_of(kInterval)) +
         "; using " + std::to_string(used);
}

std::variant<Profile, ValidationError> validate(const Settings& settings) {
  Profile profile;
  profile.role = settings.role();
  if (auto bad = check_each(settings)) return *bad;
  if (auto bad = check_name(settings)) return *bad;
  if (auto bad = check_shards(settings)) return *bad;
  if (auto bad = check_buffers(settings)) return *bad;
  if (auto bad = check_congestion(settings)) return *bad;
  if (auto bad = check_init(settings)) return *bad;
  if (auto bad = check_user(settings)) return *bad;
  if (auto bad = read_addresses(settings, profile)) return *bad;
  if (settings.role() == Role::kClient)
    if (auto bad = read_local_access(settings, profile)) return *bad;
  if (auto bad = read_status(settings, profile)) return *bad;
  if (auto bad = find_unsupported(settings)) return *bad;
  if (auto bad = check_tcp(settings, profile)) return *bad;
  read_link(settings, profile.link);
  read_rest(settings, profile);
  settings.role() == Role::kClient ? read_client_only(settings, profile) : read_server_only(settings, profile);
  return profile;
}

std::vector<std::string> profile_warnings(const Profile& profile) {
  std::vector<std::string> warnings;
  if (profile.key == option_of(kKey).client_default) {
    warnings.emplace_back("the key is kcptun's public default, known to everyone: set --key or KCPTUN_KEY");
  } else if (profile.key.empty()) {
    warnings.emplace_back("the key is empty, so anyone can use this tunnel: set --key or KCPTUN_KEY");
  }
  if (profile.crypt == Cipher::kNone || profile.crypt == Cipher::kNull) {
    warnings.emplace_back("crypt " + std::string(profile.crypt == Cipher::kNone ? "none" : "null") +
                          " encrypts nothing: anyone on the path can read and change the traffic");
  } else if (profile.crypt == Cipher::kXor) {
    warnings.emplace_back("crypt xor keeps no secret: anyone on the path can read and change the traffic");
  }
  if (profile.qpp) add_qpp_warnings(profile, warnings);
  if (profile.autoexpire > Duration::zero() &&
      (!profile.scavengettl || *profile.scavengettl > profile.autoexpire)) {
    warnings.emplace_back(
        "scavengettl is longer than autoexpire, so replaced sessions pile up beside new ones");
  }
  return warnings;
}

}  // namespace kcptun
