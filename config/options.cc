#include "config/options.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/base/settings.h"
#include "core/kcp/congestion_table.h"

namespace kcptun {
namespace {

using enum OptionId;
using enum OptionGroup;
using enum OptionKind;
using enum OptionReload;
constexpr auto kC = OptionRole::kClient;
constexpr auto kS = OptionRole::kServer;
constexpr auto kB = OptionRole::kBoth;

constexpr std::int64_t kMaxSeconds = 2147483647;
constexpr std::int64_t kMaxRate = 4294967295;     // bytes per second; kcp-go stores them in 32 bits
constexpr std::int64_t kMaxSockBuf = 1073741823;  // bytes; the kernel stores twice the value in an int
constexpr std::int64_t kMaxHop = 86400;           // a day
constexpr std::int64_t kMaxMark = 4294967295;     // SO_MARK has 32 bits
constexpr std::int64_t kMinBuffer = 65536;        // bytes; must hold a peer's largest smux frame
constexpr std::int64_t kMaxBuffer = 2147483647;

// clang-format off
constexpr std::array<Option, kOptionCount> kOptions{{
    {kLocalAddr, kAddresses, kC, kAddress, kRestart, "localaddr", "l", "localaddr", {}, ":12948", "",
     "accept connections here: host:port or a unix socket path"},
    {kLocalMode, kAddresses, kC, kText, kRestart, "localaddr-mode", "", "localaddr-mode", {}, "", "",
     "who may connect to a unix socket in localaddr or a forward: its permissions in octal, like 0660; unless set, as the "
     "umask says"},
    {kLocalGroup, kAddresses, kC, kText, kRestart, "localaddr-group", "", "localaddr-group", {}, "", "",
     "the group that a unix socket in localaddr or a forward belongs to"},
    {kForward, kAddresses, kC, kList, kRestart, "forward", "", "forwards", {}, "", "",
     "an entrance of its own: LISTEN=TARGET like tcp://127.0.0.1:5432=tcp://db:5432, or LISTEN alone where the "
     "application names the target: socks5, http, redirect, tproxy; repeatable; localaddr is then closed unless set"},
    {kReverse, kAddresses, kC, kList, kRestart, "reverse", "", "reverses", {}, "", "",
     "let the server listen and connect from here: LISTEN=TARGET like tcp://:8080=tcp://127.0.0.1:80; the server needs "
     "allow-listen; repeatable; localaddr is then closed unless set"},
    {kRemoteAddr, kAddresses, kC, kAddress, kNextSession, "remoteaddr", "r", "remoteaddr", {}, "vps:29900", "",
     "the kcptun server: host:port, or host:min-max for a port range; several, with commas between: the fastest that answers"},
    {kListen, kAddresses, kS, kAddress, kRestart, "listen", "l", "listen", {}, "", ":29900",
     "accept tunnels here: host:port, or host:min-max for a port range"},
    {kTarget, kAddresses, kS, kAddress, kLive, "target", "t", "target", {}, "", "127.0.0.1:12948",
     "hand connections to this: host:port or a unix socket path; socks5: each connection names its target by SOCKS5 or "
     "HTTP CONNECT, and allow says which it may name"},
    {kAllow, kAddresses, kS, kList, kLive, "allow", "", "allow", {}, "", "",
     "a target that clients may name: [tcp/ or udp/]HOST[:PORT or :MIN-MAX]; HOST is a name (with * for any characters), an "
     "address, a network like 10.0.0.0/8, public or *; public and * leave out private addresses; repeatable"},
    {kDeny, kAddresses, kS, kList, kLive, "deny", "", "deny", {}, "", "",
     "a target that clients may not name although allow has it; written like allow, but * is every address; repeatable"},
    {kAllowListen, kAddresses, kS, kList, kLive, "allow-listen", "", "allow-listen", {}, "", "",
     "where clients may let the server listen: ADDRESS[:PORT or :MIN-MAX] like 127.0.0.1:8080; ADDRESS is an address, a "
     "network, or * for all; repeatable; without it they may nowhere"},
    {kProxyProtocol, kAddresses, kS, kChoice, kLive, "proxy-protocol", "", "proxy-protocol", {}, "", "off",
     "begin each connection to the target with a header of the PROXY protocol, which has the client's address"},

    {kKey, kSecurity, kB, kText, kRestart, "key", "", "key", {}, "it's a secrect", "it's a secrect",
     "the secret that client and server share; also taken from the environment's KCPTUN_KEY"},
    {kKeyFile, kSecurity, kB, kText, kRestart, "key-file", "", "key-file", {}, "", "",
     "read the key from this file, which others must not be able to read; $CREDENTIALS_DIRECTORY/NAME: from systemd"},
    {kPrivateKey, kSecurity, kB, kText, kRestart, "private-key", "", "private-key", {}, "", "",
     "with crypt noise: this end's own key, which --genkey prints; a server with one admits only its users"},
    {kPrivateKeyFile, kSecurity, kB, kText, kRestart, "private-key-file", "", "private-key-file", {}, "", "",
     "read private-key from this file, as key-file does"},
    {kServerKey, kSecurity, kC, kText, kRestart, "server-key", "", "server-key", {}, "", "",
     "with private-key: the server's public key, which its --pubkey prints"},
    {kUsers, kSecurity, kS, kList, kLive, "users", "", "users", {}, "", "",
     "with private-key: a user who may connect, NAME=KEY with what --pubkey prints at the user; behind it, with semicolons, "
     "allow=RULE+RULE, ratelimit=BYTES, quota=100GB/month and expires=YYYY-MM-DD; repeatable"},
    {kUsersFile, kSecurity, kS, kText, kLive, "users-file", "", "users-file", {}, "", "",
     "read users from this JSON file, which kcptun-server user writes"},
    {kQuotaFile, kSecurity, kS, kText, kRestart, "quota-file", "", "quota-file", {}, "", "",
     "keep in this JSON file what users with a quota have transferred"},
    {kCrypt, kSecurity, kB, kChoice, kRestart, "crypt", "", "crypt", {}, "aes", "aes",
     "the cipher, the same on both sides; xchacha20-poly1305 and noise between kcptun-uv's own programs only"},
    {kQpp, kSecurity, kB, kSwitch, kRestart, "QPP", "", "qpp", {}, "", "",
     "add Quantum Permutation Pads to every stream"},
    {kQppCount, kSecurity, kB, kNumber, kRestart, "QPPCount", "", "qpp-count", {1, 65535}, "61", "61",
     "how many pads, best a prime number"},

    {kMode, kKcp, kB, kChoice, kLive, "mode", "", "mode", {}, "fast", "fast",
     "the profile of nodelay, interval, resend and nc; those four count with manual only"},
    {kMtu, kKcp, kB, kNumber, kNextSession, "mtu", "", "mtu", {128, 1500}, "1350", "1350",
     "the largest UDP payload in bytes; auto finds the largest that the path carries", "auto"},
    {kRateLimit, kKcp, kB, kNumber, kLive, "ratelimit", "", "ratelimit", {0, kMaxRate}, "0", "0",
     "the most bytes per second that one session sends, 0: no limit"},
    {kSendWindow, kKcp, kB, kNumber, kLive, "sndwnd", "", "sndwnd", {1, 65535}, "128", "1024",
     "send window in packets; unless set, or with auto, it grows with the path up to 16384", "auto"},
    {kReceiveWindow, kKcp, kB, kNumber, kLive, "rcvwnd", "", "rcvwnd", {1, 65535}, "512", "1024",
     "receive window in packets; unless set, or with auto, it grows with the path up to 16384", "auto"},
    {kAckNodelay, kKcp, kB, kSwitch, kLive, "acknodelay", "", "acknodelay", {}, "", "",
     "changes nothing: acknowledgements always leave with each batch"},

    {kNodelay, kManual, kB, kNumber, kLive, "nodelay", "", "nodelay", {0, 1}, "0", "0",
     "1: retransmit sooner"},
    {kInterval, kManual, kB, kNumber, kLive, "interval", "", "interval", {10, 5000}, "50", "50",
     "milliseconds that enter the retransmission time-out; values outside are moved into the range"},
    {kResend, kManual, kB, kNumber, kLive, "resend", "", "resend", {0, 65535}, "0", "0",
     "with nc 0: retransmit once this many later packets have arrived, 0: wait for the timer"},
    {kNc, kManual, kB, kNumber, kNextSession, "nc", "", "nc", {0, 1}, "0", "0",
     "1: no congestion window as KCP has it"},

    {kCongestion, kKcp, kB, kChoice, kNextSession, "cc", "", "cc", {}, "auto", "auto",
     "congestion control"},
    {kThin, kKcp, kB, kChoice, kLive, "thin", "", "thin", {}, "auto", "auto",
     "send what sessions below 512 kbit/s send several times, a few milliseconds apart, for at most 3.5 times the bytes: auto where the path may lose packets, on always"},

    {kDataShard, kFec, kB, kNumber, kNextSession, "datashard", "ds", "datashard", {0, 255}, "10", "10",
     "data packets in a group, 0: no forward error correction"},
    {kParityShard, kFec, kB, kNumber, kNextSession, "parityshard", "ps", "parityshard", {0, 255}, "3", "3",
     "parity packets in a group, 0: no forward error correction"},
    {kFecPolicy, kFec, kB, kChoice, kNextSession, "fec", "", "fec", {}, "adaptive", "adaptive",
     "adaptive leaves out the parity packets that don't help, fixed sends them all"},

    {kNoComp, kMultiplexing, kB, kSwitch, kNextSession, "nocomp", "", "nocomp", {}, "", "",
     "turn compression off, the same on both sides"},
    {kSmuxVersion, kMultiplexing, kB, kNumber, kNextSession, "smuxver", "", "smuxver", {1, 2}, "2", "2",
     "smux version, the same on both sides; kcptun before 2022 has 1 as its default"},
    {kSmuxBuf, kMultiplexing, kB, kNumber, kNextSession, "smuxbuf", "", "smuxbuf", {kMinBuffer, kMaxBuffer},
     "4194304", "4194304", "bytes that all streams of a session may have waiting; with smux version 2, beyond it those that are not "
     "read get no more window, and others go on; grows with rcvwnd unless it or streambuf is set", "auto"},
    {kFrameSize, kMultiplexing, kB, kNumber, kNextSession, "framesize", "", "framesize", {1, 65535}, "8192", "8192",
     "the largest smux frame sent, in bytes"},
    {kStreamBuf, kMultiplexing, kB, kNumber, kNextSession, "streambuf", "", "streambuf", {kMinBuffer, kMaxBuffer},
     "2097152", "2097152", "bytes that one stream may have waiting (smux version 2), at most smuxbuf; grows with rcvwnd unless "
     "it or smuxbuf is set", "auto"},
    {kKeepAlive, kMultiplexing, kB, kNumber, kNextSession, "keepalive", "", "keepalive", {1, 30}, "10", "10",
     "seconds between heartbeats"},

    {kConn, kSessions, kC, kNumber, kRestart, "conn", "", "conn", {1, 65535}, "1", "",
     "how many sessions to keep to the server; unless set, or with auto, one, and up to 4 while bulk data fills them", "auto"},
    {kAutoExpire, kSessions, kC, kNumber, kLive, "autoexpire", "", "autoexpire", {0, kMaxSeconds}, "0", "",
     "replace a session after so many seconds, 0: never"},
    {kScavengeTtl, kSessions, kC, kNumber, kLive, "scavengettl", "", "scavengettl", {-1, kMaxSeconds}, "600", "",
     "seconds that a replaced session may live on, -1: for ever"},
    {kCloseWait, kSessions, kB, kNumber, kLive, "closewait", "", "closewait", {0, kMaxSeconds}, "0", "30",
     "seconds that a connection whose one end is gone may still drain, below 35: 35"},
    {kMaxSessions, kSessions, kS, kNumber, kRestart, "max-sessions", "", "max-sessions", {1, 1048576}, "", "32768",
     "sessions at once; the last quarter is for addresses that have less than a quarter, those that never had a stream "
     "make room first"},
    {kMaxStreams, kSessions, kB, kNumber, kNextSession, "max-streams", "", "max-streams", {1, 65536}, "65536", "65536",
     "streams at once in one session, further ones are refused"},

    {kDscp, kSockets, kB, kNumber, kLive, "dscp", "", "dscp", {0, 63}, "0", "0",
     "the DSCP field of each packet"},
    {kSockBuf, kSockets, kB, kNumber, kLive, "sockbuf", "", "sockbuf", {4096, kMaxSockBuf}, "4194304", "4194304",
     "bytes of each socket buffer"},
    {kUdpOffload, kSockets, kB, kChoice, kRestart, "udp-offload", "", "udp-offload", {}, "auto", "auto",
     "auto: let the kernel cut and join datagrams (UDP GSO and GRO) where it can; off: one by one, for drivers and "
     "emulators that do it wrong"},
    {kTcp, kSockets, kB, kSwitch, kRestart, "tcp", "", "tcp", {}, "", "",
     "dress the packets up as a TCP connection (Linux, root)"},
    {kBind, kSockets, kC, kText, kRestart, "bind", "", "bind", {}, "", "",
     "send to the server from this address of this machine: an IPv4 or IPv6 address without a port"},
    {kInterface, kSockets, kC, kText, kRestart, "interface", "", "interface", {}, "", "",
     "send to the server through this network interface only, like eth0 (Linux)"},
    {kFwmark, kSockets, kC, kNumber, kRestart, "fwmark", "", "fwmark", {0, kMaxMark}, "0", "",
     "the mark of packets to the server, for ip rule and firewalls (Linux, needs CAP_NET_ADMIN), 0: none"},
    {kHop, kSockets, kC, kNumber, kLive, "hop", "", "hop", {0, kMaxHop}, "0", "",
     "seconds, more or less, after which a session goes on from another UDP port, and to another port of the range in "
     "remoteaddr, 0: never"},

    {kName, kLogging, kB, kText, kRestart, "name", "", "name", {}, "", "",
     "the tunnel's name in the log; of several tunnels in one file each needs its own"},
    {kLog, kLogging, kB, kText, kLive, "log", "", "log", {}, "", "",
     "log to this file instead of standard error"},
    {kLogLevel, kLogging, kB, kChoice, kLive, "log-level", "", "log-level", {}, "info", "info",
     "leave out of the log what is less serious"},
    {kLogFormat, kLogging, kB, kChoice, kLive, "log-format", "", "log-format", {}, "text", "text",
     "lines for people, or one JSON object a line"},
    {kLogUtc, kLogging, kB, kSwitch, kLive, "log-utc", "", "log-utc", {}, "", "",
     "times of the log in UTC instead of local time"},
    {kQuiet, kLogging, kB, kSwitch, kLive, "quiet", "", "quiet", {}, "", "",
     "no line for each stream that opens or closes"},
    {kSnmpLog, kLogging, kB, kText, kRestart, "snmplog", "", "snmplog", {}, "", "",
     "write counters to this file, named in Go's time layout like ./snmp-20060102.log"},
    {kSnmpPeriod, kLogging, kB, kNumber, kRestart, "snmpperiod", "", "snmpperiod", {0, kMaxSeconds}, "60", "60",
     "seconds between rows of snmplog, 0: none"},
    {kPprof, kLogging, kB, kSwitch, kRestart, "pprof", "", "pprof", {}, "", "",
     "refused, as it is Go's profiler: use perf for profiles, SIGUSR1 or snmplog for counters"},

    {kStatus, kWatching, kB, kAddress, kRestart, "status", "", "status", {}, "", "",
     "show what the tunnel does here: host:port or a unix socket path; a page, /metrics, /status.json, /healthz"},
    {kStatusToken, kWatching, kB, kText, kRestart, "status-token", "", "status-token", {}, "", "",
     "who asks at the status address must say this; needed where that is not loopback"},

    {kThreads, kProcess, kB, kNumber, kRestart, "threads", "", "threads", {0, 256}, "0", "0",
     "event loops, 0: one per core"},
    {kMemory, kProcess, kB, kNumber, kRestart, "memory", "", "memory", {0, 1048576}, "0", "0",
     "MiB for received bytes that nobody has read yet, all sessions together, 0: a quarter of the machine's memory or "
     "of the control group's limit"},
    {kUser, kProcess, kB, kText, kRestart, "user", "", "user", {}, "", "",
     "run as this user once the ports are bound: NAME or NAME:GROUP (started as root)"},
    {kConfigFile, kProcess, kB, kText, kRestart, "c", "", "", {}, "", "",
     "read a JSON file or a pairing string (kcptun://...); its fields override the flags, with a warning for each that loses"},
    {kCheck, kProcess, kB, kSwitch, kRestart, "check", "", "", {}, "", "",
     "validate, print the effective profile with defaults marked and secrets hidden, and exit"},
    {kInit, kProcess, kB, kChoice, kRestart, "init", "", "", {}, "", "",
     "write that side's profile to the file of -c (else client.json or server.json), print a pairing string for the other "
     "side and what to do next, and exit"},
    {kPrint, kProcess, kB, kSwitch, kRestart, "print", "", "", {}, "", "",
     "with --init: print the other side's profile, too"},
    {kShare, kProcess, kB, kSwitch, kRestart, "share", "", "", {}, "", "",
     "print the pairing string of the profile of -c (else client.json or server.json), on a terminal also as a QR code, "
     "and exit"},
    {kPublicAddress, kProcess, kS, kAddress, kLive, "public-address", "", "public-address", {}, "", "",
     "where clients find the server, for --init and --share: host or host:port; else this machine's own address"},
    {kDuration, kProcess, kC, kNumber, kRestart, "duration", "", "", {1, 3600}, "10", "",
     "with probe and bench: how many seconds to measure"},
    {kBandwidth, kProcess, kC, kNumber, kRestart, "bandwidth", "", "", {0, 10000}, "0", "",
     "with probe: try the path's bandwidth, up to so many Mbit/s, 0: do not"},
    {kGenKey, kProcess, kB, kSwitch, kRestart, "genkey", "", "", {}, "", "",
     "print a new random key of 256 bits, and exit"},
    {kPubKey, kProcess, kB, kSwitch, kRestart, "pubkey", "", "", {}, "", "",
     "print the public key that belongs to private-key, and exit"},
    {kHelpMarkdown, kHidden, kB, kSwitch, kRestart, "help-markdown", "", "", {}, "", "",
     "print the table of flags as Markdown"},
    {kHelpMan, kHidden, kB, kSwitch, kRestart, "help-man", "", "", {}, "", "",
     "print this program's flags for its manual page, in mdoc(7)"},
    {kHelpManJson, kHidden, kB, kSwitch, kRestart, "help-man-json", "", "", {}, "", "",
     "print both programs' JSON fields for the manual page, in mdoc(7)"},
    {kHelp, kProcess, kB, kSwitch, kRestart, "help", "h", "", {}, "", "",
     "show this help"},
    {kVersion, kProcess, kB, kSwitch, kRestart, "version", "v", "", {}, "", "",
     "print the version"},
}};
// clang-format on

constexpr bool row_index_is_id() {
  for (std::size_t i = 0; i < kOptions.size(); ++i) {
    if (static_cast<std::size_t>(kOptions[i].id) != i) return false;
  }
  return true;
}
static_assert(row_index_is_id());

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

std::span<const Option, kOptionCount> all_options() { return kOptions; }

const Option& option_of(OptionId id) { return kOptions[static_cast<std::size_t>(id)]; }

const Option* find_flag(Role role, std::string_view name) {
  const auto found = std::ranges::find_if(kOptions, [&](const Option& option) {
    return option.applies_to(role) &&
           (option.flag == name || (!option.alias.empty() && option.alias == name));
  });
  return found == kOptions.end() ? nullptr : &*found;
}

const Option* find_field(std::string_view name) {
  if (name.empty()) return nullptr;
  const auto exact = std::ranges::find(kOptions, name, &Option::json);
  if (exact != kOptions.end()) return &*exact;
  const auto similar = std::ranges::find_if(
      kOptions, [&](const Option& option) { return same_ignoring_case(option.json, name); });
  return similar == kOptions.end() ? nullptr : &*similar;
}

std::string help_of(const Option& option) {
  std::string help(option.help);
  if (option.id != kCongestion) return help;
  const char* separator = ": ";
  for (const auto& row : congestion_table()) {
    help.append(separator).append(row.name).append(" ").append(row.help);
    separator = ", ";
  }
  return help;
}

std::vector<std::string_view> choices_of(OptionId id) {
  std::vector<std::string_view> words;
  if (id == kCrypt) {
    for (const auto& row : kCipherNames) words.push_back(row.name);
  } else if (id == kMode) {
    for (const auto& row : kModePresets) words.push_back(row.name);
    words.push_back("manual");
  } else if (id == kInit) {
    words = {"client", "server"};
  } else if (id == kLogLevel) {
    words = {"debug", "info", "warning", "error"};  // in the order of LogLevel
  } else if (id == kLogFormat) {
    words = {"text", "json"};  // in the order of LogFormat
  } else if (id == kCongestion) {
    for (const auto& row : congestion_table()) words.push_back(row.name);
  } else if (id == kThin) {
    words = {"off", "auto", "on"};  // in the order of ThinMode
  } else if (id == kFecPolicy) {
    words = {"adaptive", "fixed"};
  } else if (id == kUdpOffload) {
    words = {"off", "auto"};  // UdpOffload's order
  } else if (id == kProxyProtocol) {
    words = {"off", "v1", "v2"};  // in the order of TargetHeader
  }
  return words;
}

bool is_process_wide(OptionId id) {
  constexpr std::array kOfTheProcess{kUser,  kLog,    kLogLevel,    kLogFormat, kLogUtc,
                                     kPprof, kStatus, kStatusToken, kThreads,   kMemory};
  return std::ranges::find(kOfTheProcess, id) != kOfTheProcess.end();
}

BeyondRange beyond_range_of(OptionId id) {
  constexpr std::array kNegativeIsMin{kAutoExpire, kScavengeTtl, kCloseWait,   kRateLimit,
                                      kSnmpPeriod, kDataShard,   kParityShard, kResend};
  constexpr std::array kBoolean{kNodelay, kNc};
  if (std::ranges::find(kNegativeIsMin, id) != kNegativeIsMin.end()) return BeyondRange::kBelowIsMin;
  return std::ranges::find(kBoolean, id) == kBoolean.end() ? BeyondRange::kRejected
                                                           : BeyondRange::kAboveIsMax;
}

std::string_view group_title(OptionGroup group) {
  switch (group) {
    case kAddresses:
      return "Addresses";
    case kSecurity:
      return "Security";
    case kKcp:
      return "Transport";
    case kManual:
      return "Transport, with --mode manual";
    case kFec:
      return "Forward error correction";
    case kMultiplexing:
      return "Streams";
    case kSessions:
      return "Sessions";
    case kSockets:
      return "Sockets";
    case kLogging:
      return "Logging";
    case kWatching:
      return "Status";
    case kProcess:
      return "Process";
    case kHidden:
      break;
  }
  return {};
}

std::string_view program_name(Role role) { return role == Role::kClient ? "kcptun-client" : "kcptun-server"; }

bool is_secret(OptionId id) { return id == kKey || id == kPrivateKey || id == kStatusToken; }

std::optional<OptionId> file_option_of(OptionId id) {
  if (id == kKey) return kKeyFile;
  if (id == kPrivateKey) return kPrivateKeyFile;
  if (id == kUsers) return kUsersFile;
  return std::nullopt;
}

std::string value_hint(const Option& option) {
  if (option.kind == kNumber) {
    const std::string range = std::to_string(option.range.min) + ".." + std::to_string(option.range.max);
    return option.word.empty() ? range : range + " or " + std::string(option.word);
  }
  std::string words;
  for (const auto word : choices_of(option.id)) words.append(words.empty() ? "" : ", ").append(word);
  return words;
}

}  // namespace kcptun
